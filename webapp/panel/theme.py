"""The product's look for Gradio: the colours of ``static/css/labelfree.css``, system fonts, light and dark."""

from __future__ import annotations

import gradio as gr
from gradio.themes import Base
from gradio.themes.utils import colors, sizes

ACCENT = colors.Color(
    name="accent", c50="#eef5f5", c100="#d3ebe8", c200="#a9dad4", c300="#83e3d6", c400="#4fd1c0", c500="#14857b",
    c600="#0f766e", c700="#115e59", c800="#134e4a", c900="#123f3c", c950="#15262a")
INK = colors.Color(
    name="ink", c50="#f6f8f9", c100="#eef1f3", c200="#e2e6e9", c300="#cbd2d6", c400="#93a1a9", c500="#5d6a72",
    c600="#4a565d", c700="#2a343a", c800="#1a2125", c900="#181e22", c950="#12171a")
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONOSPACE = ("ui-monospace", "Consolas", "monospace")


def theme() -> Base:
    """Return the theme; no font of it is ever fetched."""
    look = gr.themes.Base(primary_hue=ACCENT, secondary_hue=ACCENT, neutral_hue=INK, font=list(FONTS),
                          font_mono=list(MONOSPACE), radius_size=sizes.radius_md, spacing_size=sizes.spacing_md,
                          text_size=sizes.text_md)
    return look.set(
        body_background_fill="#ffffff", body_background_fill_dark="#12171a",
        body_text_color="#22292e", body_text_color_dark="#d9dfe3",
        body_text_color_subdued="#5d6a72", body_text_color_subdued_dark="#93a1a9",
        background_fill_primary="#ffffff", background_fill_primary_dark="#12171a",
        background_fill_secondary="#f6f8f9", background_fill_secondary_dark="#1a2125",
        border_color_primary="#e2e6e9", border_color_primary_dark="#2a343a",
        block_background_fill="transparent", block_background_fill_dark="transparent",
        block_border_width="0px", block_border_width_dark="0px", block_shadow="none", block_shadow_dark="none",
        block_padding="0px", block_label_background_fill="transparent", block_label_background_fill_dark="transparent",
        block_title_text_weight="500", block_title_text_color="#5d6a72", block_title_text_color_dark="#93a1a9",
        block_title_text_size="0.875rem",
        input_background_fill="#ffffff", input_background_fill_dark="#161c20",
        input_border_color="#cbd2d6", input_border_color_dark="#3a464d", input_border_width="1px",
        input_border_color_focus="#0f766e", input_border_color_focus_dark="#4fd1c0",
        input_shadow="none", input_shadow_focus="0 0 0 3px rgba(15, 118, 110, .25)",
        input_radius="8px", input_text_size="0.9375rem",
        button_large_radius="8px", button_medium_radius="8px", button_small_radius="8px",
        button_primary_background_fill="#0f766e", button_primary_background_fill_dark="#14857b",
        button_primary_background_fill_hover="#115e59", button_primary_background_fill_hover_dark="#1a9c90",
        button_primary_text_color="#ffffff", button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="#f6f8f9", button_secondary_background_fill_dark="#1a2125",
        button_secondary_background_fill_hover="#eef1f3", button_secondary_background_fill_hover_dark="#2a343a",
        button_secondary_border_color="#e2e6e9", button_secondary_border_color_dark="#2a343a",
        button_secondary_text_color="#22292e", button_secondary_text_color_dark="#d9dfe3",
        button_border_width="1px", button_transition="none",
        slider_color="#0f766e", slider_color_dark="#14857b", layout_gap="16px", form_gap_width="0px")
