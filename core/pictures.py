"""The pictures that a method leaves with its result: PNG files, and what a person should know to read each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from core.errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What stands beside one picture.

    Attributes:
        name: of its file, without the ending: lower case and hyphens.
        title: a few words.
        caption: plain sentences, for someone who has not read the paper.
        columns: headings of its columns, equally wide, from the left; () for none.
        rows: names of its rows, equally high, from the top; () for none.
        shows_images: whether images of the collection are in it; such a picture never travels with the model.
    """

    name: str
    title: str
    caption: str
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    shows_images: bool = True


class Pictures:
    """The pictures of one run, in a folder of their own.

    Attributes:
        folder: made with the first picture.
        drawn: what stands beside each, in the order drawn.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drawn: list[Picture] = []

    def draw(self, picture: Picture, image: Image.Image) -> None:
        """Keep a picture, its file written whole or not at all.

        Raises:
            CheckpointError: when the disk is full or cannot be written.
        """
        file = self.file(picture)
        part = file.with_name(file.name + ".part")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            image.save(part, "PNG")
            part.replace(file)
        except OSError as error:
            if self.folder.is_dir():
                part.unlink(missing_ok=True)
            raise CheckpointError(str(file), f"could not be written: {error}; free some space and try again",
                                  retryable=True) from error
        self.drawn.append(picture)

    def file(self, picture: Picture) -> Path:
        """Return where a picture is."""
        return self.folder / f"{picture.name}.png"

    @property
    def travelling(self) -> dict[str, Path]:
        """Return the files that go into the model package, by their names there: those without a person's images."""
        return {f"{one.name}.png": self.file(one) for one in self.drawn if not one.shows_images}
