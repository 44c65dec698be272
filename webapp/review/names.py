"""What the classes of a run are called: the question's names, the clusters' names, and a person's own."""

from __future__ import annotations

from webapp.review.models import ClusterName
from webapp.runs.models import Run


def has_class_list(run: Run) -> bool:
    """Tell whether a person gave the class names; without them classes are clusters that can be named."""
    return run.class_list_version_id is not None


def class_names(run: Run) -> tuple[str, ...]:
    """Return the name of every class index of a run, in order.

    Names of the run's class list stand as they are. Clusters are called what the worker called them
    ("cluster 1", …), unless a naming that was not undone says otherwise; the newest stands.
    """
    if run.class_list_version is not None:
        return tuple(run.class_list_version.names)
    worker_names = run.result.get("class_names") or []
    num_classes = max(len(worker_names), run.result.get("num_classes") or 0, len(run.result.get("histogram") or []),
                      run.num_classes or 0)
    names = [worker_names[index] if index < len(worker_names) else f"cluster {index + 1}"
             for index in range(num_classes)]
    for index, name in standing_cluster_names(run).items():
        if index < num_classes:
            names[index] = name
    return tuple(names)


def standing_cluster_names(run: Run) -> dict[int, str]:
    """Return class index -> the newest name a person gave it, undone namings left out."""
    given = ClusterName.objects.filter(action__run=run, action__undone_at=None).order_by("action_id")
    return dict(given.values_list("class_index", "name"))
