"""What a method is asked to solve: unlabelled images and a question. No labels to adapt to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.backbones.start import Start
from core.data.images import ImageSet
from core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Unlabelled images, class names or their number, and the few that a person labelled.

    Attributes:
        images: the images to adapt to and to answer (N).
        class_names: one name a class, or () where only the number is known.
        num_classes: K; equals ``len(class_names)`` when names are given, None for "don't know".
        labelled: image index -> class index, made by a person in review (Semi-MAE and MAE-CT's oracle
            learn from it; MAE-CT's and unsupervised finetuning's groups can be named by it).
        warm_up: a larger collection for MUST's frozen-classifier warm-up (its Table 4), or None.
        warm_up_names: that collection's own classes; () takes `class_names`.
        replay: images like those that the foundation model learnt from, for unsupervised finetuning, or None.
        also: further collections to adapt to with the same names (MUST, section 5), one set each; their images are
            learnt from and not answered.
        start: an adapted model to begin with, or None for the published weights.

    True labels of `images` are nowhere in reach: evaluation holds them, methods never see them.
    """

    images: ImageSet
    class_names: tuple[str, ...] = ()
    num_classes: int | None = None
    labelled: Mapping[int, int] = field(default_factory=dict)
    warm_up: ImageSet | None = None
    warm_up_names: tuple[str, ...] = ()
    replay: ImageSet | None = None
    also: tuple[ImageSet, ...] = ()
    start: Start | None = None

    def __post_init__(self) -> None:
        """Refuse a question that no method can answer."""
        if len(self.images) < 2:
            raise DataError("images", f"{len(self.images)} readable image(s); at least 2 are needed")
        if self.class_names and self.num_classes not in (None, len(self.class_names)):
            raise DataError("classes", f"{len(self.class_names)} names but {self.num_classes} classes")
        count = len(self.class_names) or self.num_classes
        if count is not None and count < 2:
            raise DataError("classes", "one class: nothing to tell apart; give at least two")

    @property
    def count(self) -> int | None:
        """Return K, or None when the person does not know it."""
        return len(self.class_names) or self.num_classes

    def check_count(self) -> None:
        """Refuse more classes than images, over which a method that learns would spread the images.

        Zero-shot, which learns nothing, may be asked about a long list of which most is in no image.

        Raises:
            DataError: naming both numbers.
        """
        if self.count is not None and self.count > len(self.images):
            shorter = ("shorten the list, as to the names that zero-shot finds" if self.class_names else
                       "give fewer classes")
            raise DataError("classes", f"{self.count} classes for {len(self.images)} images; {shorter}, or add images")

    @property
    def adapted_to(self) -> ImageSet:
        """Return the images to adapt to: `images` (0 … N - 1), and after them those of the further collections."""
        joined = self.images
        for further in self.also:
            joined = joined.joined(further)
        return joined
