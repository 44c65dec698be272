"""What the classes of a run are called: the question's names, the clusters' names, and a person's own."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q

from core.catalog import METHODS
from webapp.review.models import ClusterName
from webapp.runs.models import Run

ANSWERING_IN_NAMES = (Q(method__in=[key for key, method in METHODS.items() if method.needs == "names"])
                      | Q(settings__classifier_from="labels"))
"""Runs that do not answer in groups (`core.catalog.answers_in_groups`), as the database is asked for them."""


def has_class_list(run: Run) -> bool:
    """Tell whether the run answers in the names of a class list; else its classes are clusters, which can be renamed.

    A method that only counts takes a list's names for its clusters, the name that fits each best; that is a guess.
    """
    return run.class_list_version_id is not None and run.method in METHODS and not run.answers_in_groups


def class_names(run: Run) -> tuple[str, ...]:
    """Return the name of every class index of a run, in order.

    Names of the class list that the run answers in stand as they are. Clusters are called what the worker called them
    ("cluster 1", …, or names of a list that it guessed), unless a naming that was not undone says otherwise; the newest
    stands.
    """
    if run.class_list_version is not None and has_class_list(run):
        return tuple(run.class_list_version.names)
    worker_names = run.result.get("class_names") or []
    num_classes = max(len(worker_names), run.result.get("num_classes") or 0, len(run.result.get("histogram") or []),
                      run.num_classes or 0)
    names = [name_at(worker_names, index) for index in range(num_classes)]
    for index, name in standing_cluster_names(run).items():
        if index < num_classes:
            names[index] = name
    return tuple(names)


def name_at(names: Sequence[str], class_index: int) -> str:
    """Return the name of a class; an index beyond the names keeps a name of its own."""
    return names[class_index] if 0 <= class_index < len(names) else f"cluster {class_index + 1}"


def named_classes(run: Run) -> list[int]:
    """Return the classes whose name means something to a person: all that come from a class list, or were given one."""
    if run.class_list_version_id is not None:
        return list(range(len(class_names(run))))
    return sorted(standing_cluster_names(run))


def standing_cluster_names(run: Run) -> dict[int, str]:
    """Return class index -> the newest name a person gave it, undone namings left out."""
    given = ClusterName.objects.filter(action__run=run, action__undone_at=None).order_by("action_id")
    return dict(given.values_list("class_index", "name"))
