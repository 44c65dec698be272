"""What a person reads of a page."""

from __future__ import annotations

import re


def text(html):
    """Return what a person reads."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
