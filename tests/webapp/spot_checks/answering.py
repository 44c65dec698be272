"""A person who answers a spot check as the truth is."""

from __future__ import annotations

from tests.webapp.review.gallery import Gallery
from webapp.spot_checks import samples
from webapp.spot_checks.models import SampledImage, SpotCheck

Verdict = SampledImage.Verdict


def answer_all(check: SpotCheck, gallery: Gallery, skip: int = 0) -> None:
    """Answer as the truth is, but for the last `skip` images."""
    asked = list(check.sampled.select_related("image"))
    for one in asked[:len(asked) - skip]:
        assert samples.answer(check, one.place, Verdict.NAMED, gallery.truth[one.image.number])
