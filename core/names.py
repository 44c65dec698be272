"""Class names as people give them: pasted, typed or from a file, one a line. Standard library only."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import DataError

MAX_NAMES = 10_000
MAX_NAME_CHARACTERS = 100
FAULTS_SHOWN = 10
HEADINGS = frozenset({"name", "names", "label", "labels", "class", "classes", "species"})
"""What stands above such a column in a spreadsheet, folded."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with one line.

    Attributes:
        line: counted from 1.
        name: the text of the line, shortened for showing.
        reason: what is wrong and what would be right.
    """

    line: int
    name: str
    reason: str


def tidy(name: str) -> str:
    """Return `name` without spaces at its ends and with single spaces inside."""
    return " ".join(name.split())


def fold(name: str) -> str:
    """Return what two names share when they differ only in case, spaces or Unicode form."""
    return tidy(unicodedata.normalize("NFKC", name)).casefold()


def faults(text: str) -> list[Fault]:
    """Return every fault of a pasted list, in line order; [] when it can be used.

    Empty lines before the first and after the last name are no fault: people press Enter.
    """
    lines = text.splitlines()
    named = [index for index, line in enumerate(lines) if tidy(line)]
    if not named:
        return [Fault(1, "", "no class names: write one name a line")]
    found: list[Fault] = []
    first_line: dict[str, int] = {}
    for index in range(named[0], named[-1] + 1):
        line, name, key = index + 1, tidy(lines[index]), fold(lines[index])
        if reason := _reason(name):
            found.append(Fault(line, _short(name), reason))
        elif key in first_line:
            found.append(Fault(line, name, f"the same name as line {first_line[key]}, but for case and spaces"))
        first_line.setdefault(key, line)
    if len(named) > MAX_NAMES:
        found.append(Fault(named[MAX_NAMES] + 1, "", f"{len(named)} names; at most {MAX_NAMES} can be used"))
    return found


def parse_names(text: str) -> tuple[str, ...]:
    """Return the names of a pasted list, tidied, in order.

    Raises:
        DataError: naming every fault with its line.
    """
    found = faults(text)
    if found:
        said = [f"line {one.line}" + (f" ({one.name!r})" if one.name else "") + f": {one.reason}"
                for one in found[:FAULTS_SHOWN]]
        if len(found) > FAULTS_SHOWN:
            said.append(f"and {len(found) - FAULTS_SHOWN} more")
        raise DataError("class names", "; ".join(said))
    return tuple(name for name in map(tidy, text.splitlines()) if name)


def heading_note(names: Sequence[str]) -> str:
    """Return what to tell a person whose first name looks like the heading of a column, or ""."""
    if len(names) < 3 or fold(names[0]) not in HEADINGS:
        return ""
    return f"the first line, “{names[0]}”, was taken as a class; leave it out if it is a heading"


def too_few(name: str) -> str:
    """Return the fix for a list of one name alone."""
    return "give at least two" + ("; write one name a line, not separated by commas" if set(name) & set(",;") else "")


def decode_text(content: bytes, file: str) -> str:
    """Return the text of a file's bytes: UTF-8 with or without its mark, or UTF-16 with one.

    Raises:
        DataError: naming the encoding that it looks like, and the fix.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            text = content.decode("utf-16")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise DataError(file, "begins like UTF-16 text but is not; save it as UTF-8")
        return text
    if b"\0" in content:
        guess = "UTF-16 without its byte-order mark" if content.count(b"\0") > len(content) // 4 else "a binary file"
        raise DataError(file, f"not text in UTF-8 (it looks like {guess}); save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(file, f"not text in UTF-8: byte 0x{content[error.start]:02X} in line {line} (it looks like "
                              "Windows-1252 or Latin-1); save it as UTF-8") from None


def read_names(path: Path) -> tuple[str, ...]:
    """Return the class names of a text file, one a line.

    Raises:
        DataError: naming the file, and the encoding or every faulty line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(str(path), f"cannot be read: {error.strerror}") from None
    text = decode_text(content, str(path))
    try:
        return parse_names(text)
    except DataError as error:
        raise DataError(str(path), error.reason) from None


def _reason(name: str) -> str:
    """Return what is wrong with one tidied name by itself, or ""."""
    if not name:
        return "empty line; remove it or write a name"
    if len(name) > MAX_NAME_CHARACTERS:
        return f"{len(name)} characters; at most {MAX_NAME_CHARACTERS} can be used"
    if any(unicodedata.category(character) in {"Cc", "Cs", "Co"} for character in name):
        return "contains a control character; type the name again"
    if not any(character.isalnum() for character in name):
        return "has neither a letter nor a digit"
    return ""


def _short(name: str) -> str:
    return name if len(name) <= 40 else name[:39] + "…"
