"""The sentences in which MUST's paper reads the class names of each data set but ImageNet.

Those that OpenAI published with CLIP, as in ``templates.json`` of salesforce/MUST at 1e0f84e; the presets themselves,
for a person's own images, read names in ImageNet's 80.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_DRAWN = ("a painting of {} X", "a sculpture of {} X", "a sketch of {} X", "a tattoo of {} X", "a rendition of {} X",
          "{} X in a video game", "art of {} X", "graffiti of {} X", "a drawing of {} X", "a doodle of {} X")
_KINDS = ("plastic", "toy", "embroidered", "cartoon", "plushie", "origami")
_SEEN_AS = ("photo", "video", "example", "demonstration")
_ACTS = ("", "using ", "doing ", "during ", "performing ", "practicing ")


def _things() -> Iterator[str]:
    """Yield Caltech-101's 34: 17 with each article."""
    for article in ("a", "the"):
        yield f"a photo of {article} {{}}."
        yield from (f"{one.format(article)}.".replace("X", "{}") for one in _DRAWN)
        yield from (f"{article} {kind} {{}}." for kind in _KINDS)


TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "sun397": ("a photo of a {}.", "a photo of the {}."),
    "food101": ("a photo of {}, a type of food.",),
    "gtsrb": tuple(f'a {how} photo of a "{{}}" traffic sign.' for how in ("zoomed in", "centered", "close up")),
    "dtd": tuple(f"a photo of {article} {{}} {what}." for article in ("a", "the")
                 for what in ("texture", "pattern", "thing", "object")),
    "ucf101": tuple(f"a {seen} of {article} person {act}{{}}." for act in _ACTS for article in ("a", "the")
                    for seen in _SEEN_AS),
    "pets": ("a photo of a {}, a type of pet.",),
    "caltech101": tuple(_things()),
}


def template_settings(target: str) -> dict[str, str]:
    """Return the settings that read names as the paper does on a data set; {} where the presets do."""
    own = TEMPLATES.get(target)
    return {} if own is None else {"templates": "own", "own_templates": "\n".join(own)}
