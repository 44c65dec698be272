"""What the page's script says with every event: the view, its page, what is selected, what is meant."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from core.errors import ConfigError, DataError
from core.names import fold
from webapp.config.prepared import LARGEST
from webapp.review.names import class_names
from webapp.review.queries import ORDERS, SOURCES, Filter, answers
from webapp.runs.models import Run

VIEWS = ("answers", "classes", "disagreements", "map", "try")
IDS_AT_MOST = 200_000
CLASS_VALUE = re.compile(r"class\t([0-9]{1,9})")
"""What a menu sends for a class: no name holds a tab, and nobody types one there."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One event as the script wrote it, checked.

    Attributes:
        handler: the name of the handler that it is for.
        view: the tab that is open.
        page: the page of its grid, from 1.
        ids: the images selected by hand.
        everything: all images that match the view's filter are meant, not `ids`.
        matching: how many of them the page shows that there are.
        class_index: the class a key or a row names; None where the form's own choice counts.
        image_id: the image to show closely.
        action_id: the action that the button for undo or redo names; None takes whichever is next.
        name: the name given to a cluster.
    """

    handler: str = ""
    view: str = "answers"
    page: int = 1
    ids: tuple[int, ...] = ()
    everything: bool = False
    matching: int = 0
    class_index: int | None = None
    image_id: int | None = None
    action_id: int | None = None
    name: str = ""


def parse_command(text: str) -> Command:
    """Return the command that `text` (JSON) holds; "" is the first one of a page just opened.

    Raises:
        DataError: it is not a command.
    """
    if not text:
        return Command()
    try:
        sent = json.loads(text)
        command = Command(
            handler=str(sent.get("handler") or ""), view=sent.get("view", "answers"),
            page=max(1, int(sent.get("page", 1))), ids=tuple(int(one) for one in sent.get("ids", ())),
            everything=sent.get("everything") is True, matching=_whole(sent.get("matching")) or 0,
            class_index=_whole(sent.get("class_index")), image_id=_whole(sent.get("image_id")),
            action_id=_whole(sent.get("action_id")), name=str(sent.get("name") or ""))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise DataError("selection", "the page sent something unreadable: reload it") from error
    numbers = (*command.ids, command.image_id or 0, command.class_index or 0, command.action_id or 0)
    if (command.view not in VIEWS or len(command.ids) > IDS_AT_MOST or command.page > 10**7
            or any(abs(one) > LARGEST for one in numbers)):
        raise DataError("selection", "the page sent something unreadable: reload it")
    return command


def parse_filter(run: Run, class_choice: str | None, source: str, order: str, low: float, high: float) -> Filter:
    """Return the filter that the form shows; percent become probabilities. Nobody has checked the values before.

    Raises:
        ConfigError: a choice that the form does not offer.
    """
    if not isinstance(source, str) or source not in SOURCES:
        raise ConfigError("answered by", f"choose one of {', '.join(SOURCES)}")
    low, high = sorted((_percent(low), _percent(high)))
    return Filter(class_index=parse_class(run, class_choice), source=source, order=parse_order(order),
                  confidence_from=low / 100, confidence_to=high / 100)


def parse_order(order: str) -> str:
    """Return the order that the form shows.

    Raises:
        ConfigError: a choice that the form does not offer.
    """
    if not isinstance(order, str) or order not in ORDERS:
        raise ConfigError("order", f"choose one of {', '.join(ORDERS)}")
    return order


def class_value(class_index: int) -> str:
    """Return what a menu sends for a class."""
    return f"class\t{class_index}"


def parse_class(run: Run, choice: str | None) -> int | None:
    """Return the class index that a menu's value, or a class's name typed there, stands for; None for "all" or nothing.

    Raises:
        ConfigError: it is no class.
    """
    if choice in (None, "", "all"):
        return None
    if chosen := CLASS_VALUE.fullmatch(str(choice)):
        return int(chosen[1])
    for class_index, name in enumerate(class_names(run)):
        if fold(name) == fold(str(choice)):
            return class_index
    raise ConfigError("class", f"{choice!r} is none of this run's classes: choose one from the list")


def selected_ids(run: Run, command: Command, chosen: Filter) -> list[int]:
    """Return the images a command is about: those selected, or all that match what is shown.

    Raises:
        DataError: others match now than the page shows.
    """
    if not command.everything:
        return list(command.ids)
    found = list(answers(run, chosen).order_by("pk").values_list("image_id", flat=True))
    if len(found) != command.matching:
        raise DataError("selection", f"the grid shows {command.matching:,} images, the filter now has {len(found):,}: "
                                     "look again")
    return found


def _percent(value: object) -> float:
    if not isinstance(value, (int, float)) or not 0 <= value <= 100:
        raise ConfigError("confidence", "choose from 0 to 100 %")
    return float(value)


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
