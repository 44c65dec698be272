"""How a setting is declared, described to a form, and checked. Standard library only.

A method's settings are a frozen dataclass whose fields are made by `setting`; `core.catalog` has them all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from core.errors import ConfigError

Value = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a form needs to know of one setting.

    Attributes:
        label: the plain name a person reads.
        help: one plain sentence.
        low, high: inclusive bounds of a number, None where open.
        choices: the allowed values of a choice, in order; () for free values.
        at_most: above 1: so many different choices may be given, separated by commas.
        symbol: the paper's symbol and where it stands ("τ, Eq. 2"), or "".
        advanced: folded away in the form.
    """

    label: str
    help: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    at_most: int = 1
    symbol: str = ""
    advanced: bool = True


def setting(default: Any, label: str, help: str = "", **details: Any) -> Any:
    """Declare a field of a settings dataclass together with its `Setting`."""
    return field(default=default, metadata={"setting": Setting(label=label, help=help, **details)})


def describe(settings: Any) -> dict[str, Setting]:
    """Return each field's `Setting`, in order."""
    return {one.name: one.metadata["setting"] for one in dataclasses.fields(settings)}


def defaults(settings: type[Any]) -> dict[str, Value]:
    """Return each field's default, in order."""
    values: dict[str, Any] = {one.name: one.default for one in dataclasses.fields(settings)}
    return values


def check(kind: type[Any], values: Mapping[str, object], title: str) -> dict[str, Any]:
    """Return values (from a form, JSON or a shell; text or typed) as the fields of `kind` have them.

    Args:
        kind: a settings dataclass.
        values: some of its fields.
        title: whose settings these are, for the message.

    Raises:
        ConfigError: naming the setting, what is wrong and what would be right.
    """
    known = describe(kind)
    for name in values:
        if name not in known:
            raise ConfigError(name if name.strip() else f"setting {name!r}",
                              f"{title} has no such setting; it has {', '.join(known)}")
    types = get_type_hints(kind)
    return {name: _value(name, known[name], types[name], value) for name, value in values.items()}


def split_list(text: str) -> tuple[str, ...]:
    """Return the entries of a setting that holds several, separated by commas ("starter-clip, starter-mae")."""
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _value(name: str, known: Setting, kind: type, value: object) -> Value:
    """Convert and check one value."""
    if kind is bool:
        text = str(value).strip().lower()
        if text not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
            raise ConfigError(name, f"{value!r} is neither yes nor no")
        return text in {"true", "1", "yes", "on"}
    if kind is str:
        return _choices(name, known, str(value)) if known.choices else str(value)
    if isinstance(value, bool):
        raise ConfigError(name, f"{value!r} is not a number")
    try:
        number = float(str(value))
        if kind is int and number != int(number):
            raise ValueError
    except (ValueError, OverflowError):
        raise ConfigError(name, f"{value!r} is not a {'whole ' if kind is int else ''}number") from None
    too_low = known.low is not None and number < known.low
    if number != number or too_low or (known.high is not None and number > known.high):
        raise ConfigError(name, f"{value} is out of range: {known.low} to {known.high}")
    return int(number) if kind is int else number


def _choices(name: str, known: Setting, value: str) -> str:
    """Check a choice, or several, and return them written one way."""
    given = split_list(value) if known.at_most > 1 else (value,)
    amount = "one" if known.at_most == 1 else f"one to {known.at_most}"
    for one in given:
        if one not in known.choices:
            raise ConfigError(name, f"unknown {known.label.lower()} {one!r}; choose {amount} of "
                              f"{', '.join(known.choices)}")
    if not 1 <= len(given) <= known.at_most or len(set(given)) < len(given):
        raise ConfigError(name, f"{value!r} is not {amount} different of {', '.join(known.choices)}")
    return ",".join(given)
