"""The question tab: what is asked, the truth that only evaluation sees, the held-out part."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from core.errors import ConfigError, DataError
from webapp.audit.trail import record
from webapp.collections import held_out, wall
from webapp.collections.class_lists import warn_of_heading
from webapp.collections.forms import QuestionForm, sentence
from webapp.collections.models import Collection, TrueLabel
from webapp.collections.permissions import get_own_collection, get_visible_class_list, get_visible_collection
from webapp.collections.tables import sent_table
from webapp.collections.truth import remove_truth, store_truth
from webapp.collections.views import frame


@require_http_methods(["GET", "POST"])
def question(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the question, or store a new one."""
    is_sent = request.method == "POST"
    collection = get_own_collection(request, pk) if is_sent else get_visible_collection(request, pk)
    form = QuestionForm(collection, request.user, *((request.POST, request.FILES) if is_sent else ()))
    if form.is_bound and form.is_valid():
        try:
            said = _said(form.save())
        except DataError as error:  # a list of this name was made a moment ago
            form.add_error("list_name", sentence(error.reason))
        else:
            record(request, collection, f"asked: {said}")
            messages.success(request, f"Stored: {said}.")
            warn_of_heading(request, form.parsed)
            return redirect("collections:question", pk)
    return _page(request, collection, form, 422 if form.is_bound else 200)


def _said(collection: Collection) -> str:
    """Return the question in a few words."""
    if version := collection.class_list_version:
        return f"{version}, {len(version.names):,} names"
    return f"{collection.num_classes:,} classes" if collection.num_classes else "the number of classes is not known"


def _page(request: HttpRequest, collection: Collection, form: QuestionForm, status: int, **faults: str) -> HttpResponse:
    labelled = TrueLabel.objects.filter(image__collection=collection).count()
    version = collection.class_list_version
    newest = get_visible_class_list(request, version.class_list_id).latest if version else None
    return render(request, "collections/question.html", frame(
        collection, "question", form=form, version=version, labelled=labelled,
        newest=newest, samples=wall.samples(collection),
        held_out_count=collection.images.filter(held_out=True).count(), **faults), status=status)


@require_POST
def truth(request: HttpRequest, pk: int) -> HttpResponse:
    """Store or remove the truth."""
    collection = get_own_collection(request, pk)
    if request.POST.get("remove"):
        forgotten = remove_truth(collection)
        record(request, collection, f"forgot {forgotten:,} true labels")
        messages.success(request, f"{forgotten:,} true labels are forgotten.")
        return redirect("collections:question", pk)
    try:
        report = store_truth(collection, *sent_table(request, "truth CSV"))
    except DataError as error:
        return _page(request, collection, QuestionForm(collection, request.user), 422, truth_fault=str(error))
    record(request, collection, f"stored {report.labelled:,} true labels")
    messages.success(request, f"{report.labelled:,} of {report.images:,} images have a true label now.")
    if report.unknown_path_count:
        messages.warning(request, f"{report.unknown_path_count:,} lines of the file name no image of this collection, "
                                  f"for example {report.unknown_paths[0]}.")
    if report.unknown_names:
        more = f" and {len(report.unknown_names) - 5} more" if len(report.unknown_names) > 5 else ""
        shown = ", ".join(report.unknown_names[:5])
        messages.warning(request, f"Not on the class list, so never right: {shown}{more}.")
    return redirect("collections:question", pk)


@require_POST
def hold_out(request: HttpRequest, pk: int) -> HttpResponse:
    """Hold out a share, a list, or nothing."""
    collection = get_own_collection(request, pk)
    how = request.POST.get("how", "")
    try:
        if how == "share":
            percent, seed = _number(request, "percent", 100), _number(request, "seed", 2**31 - 1)
            count = held_out.hold_out_share(collection, percent, seed)
        elif how == "list":
            count = held_out.hold_out_listed(collection, *sent_table(request, "held-out list"))
        else:
            held_out.hold_out_nothing(collection)
            count = 0
    except (ConfigError, DataError) as error:
        return _page(request, collection, QuestionForm(collection, request.user), 422, held_out_fault=str(error))
    record(request, collection, f"held out {count:,} images")
    messages.success(request, f"{count:,} images are held out." if count else "Every image is adapted to.")
    return redirect("collections:question", pk)


def _number(request: HttpRequest, name: str, high: int) -> int:
    text = request.POST.get(name, "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) > high:
        raise ConfigError(name, f"{text!r} is not a whole number from 0 to {high:,}")
    return int(text)
