"""The form of a new run, as tests fill it in."""

from __future__ import annotations

from django.urls import reverse

from webapp.runs.forms import RunForm


def address(collection):
    """Return where the form of a collection is."""
    return reverse("runs:new", args=[collection.pk])


def filled(collection, method="must", **changes):
    """Return what a browser sends of the form as it stands, with changes."""
    form = RunForm(collection=collection, method=method)
    data = {}
    for name, field in form.fields.items():
        value = form.get_initial_for_field(field, name)
        if value is not False and value is not None:
            data[name] = "on" if value is True else value
    return data | changes
