"""Class lists: all of one's lists, one list with its history, and the live check while typing."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch, ProtectedError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.errors import DataError
from core.names import faults, heading_note, parse_names, too_few
from webapp.audit.trail import record_list_edit
from webapp.collections.forms import read_list_file, sentence
from webapp.collections.models import ClassList
from webapp.collections.naming import check_list_name, create_class_list, edit_class_list
from webapp.collections.permissions import get_own_class_list, get_visible_class_list
from webapp.sharing.access import collections_of

FAULTS_SHOWN = 8


class ClassListForm(forms.Form):
    """A list's name and its names; checked by `core.names`."""

    name = forms.CharField(label="Name of the list", required=False, max_length=120)
    names = forms.CharField(label="Class names, one a line", required=False, strip=False, max_length=2_000_000,
                            widget=forms.Textarea)
    file = forms.FileField(label="From a text file", required=False)

    def __init__(self, request: HttpRequest, class_list: ClassList | None = None) -> None:
        """Show a list, or check what was sent for it."""
        sent = request.method == "POST"
        initial = {"name": class_list.name, "names": "\n".join(class_list.latest.names)} if class_list else None
        super().__init__(request.POST if sent else None, request.FILES if sent else None, initial=initial)
        self.request, self.class_list = request, class_list
        self.parsed: tuple[str, ...] = ()

    def clean(self) -> dict[str, object]:
        """Check the list's name, then its names."""
        values = super().clean()
        for field, check in (("name", self._name), ("names", self._names)):
            try:
                check(values)
            except DataError as error:
                self.add_error(field, sentence(error.reason))
        return values

    def _name(self, values: dict[str, object]) -> None:
        values["name"] = check_list_name(self.request.user, values.get("name") or "", self.class_list)

    def _names(self, values: dict[str, object]) -> None:
        if values.get("file"):
            values["names"] = read_list_file(values["file"])
        self.parsed = parse_names(values.get("names") or "")
        if len(self.parsed) < 2:
            raise DataError("names", f"one name: nothing to tell apart; {too_few(self.parsed[0])}")


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Show one's class lists."""
    own = ClassList.objects.filter(owner=request.user).order_by("name")
    page = Paginator(own, 50).get_page(request.GET.get("page"))
    return render(request, "class_lists/index.html", {"section": "class_lists", "page": page})


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """Make a class list."""
    form = ClassListForm(request)
    if form.is_bound and form.is_valid():
        try:
            version = create_class_list(request.user, form.cleaned_data["name"], form.parsed)
        except DataError as error:  # a list of this name was made a moment ago
            form.add_error("name", sentence(error.reason))
        else:
            messages.success(request, f"“{version.class_list.name}” has {len(version.names)} names.")
            warn_of_heading(request, form.parsed)
            return redirect("class_lists:detail", version.class_list_id)
    return render(request, "class_lists/edit.html", {"section": "class_lists", "form": form},
                  status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a list with its versions; store an edit as a new one."""
    is_sent = request.method == "POST"
    class_list = get_own_class_list(request, pk) if is_sent else get_visible_class_list(request, pk)
    form = ClassListForm(request, class_list)
    if form.is_bound and form.is_valid():
        if class_list.name != form.cleaned_data["name"]:
            class_list.name = form.cleaned_data["name"]
            class_list.save(update_fields=["name"])
        before = class_list.latest
        version = edit_class_list(class_list, form.parsed, request.user)
        if version != before:
            record_list_edit(request, version)
        messages.success(request, f"Stored as version {version.number}, {len(version.names)} names.")
        warn_of_heading(request, form.parsed)
        return redirect("class_lists:detail", pk)
    asking = Prefetch("collection_set", collections_of(request.user), to_attr="asked_by")
    versions = class_list.versions.order_by("-number").prefetch_related(asking)[:100]
    return render(request, "class_lists/edit.html", {
        "section": "class_lists", "form": form, "class_list": class_list, "versions": versions,
        "is_own": class_list.owner_id == request.user.pk},
        status=422 if form.is_bound else 200)


def warn_of_heading(request: HttpRequest, names: tuple[str, ...]) -> None:
    """Tell a person whose stored names begin with what looks like a heading."""
    if note := heading_note(names):
        messages.warning(request, sentence(note))


@require_GET
def version(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Show one version as it was."""
    class_list = get_visible_class_list(request, pk)
    return render(request, "class_lists/version.html", {
        "section": "class_lists", "class_list": class_list,
        "version": get_object_or_404(class_list.versions, number=number)})


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a list that nothing uses."""
    class_list = get_own_class_list(request, pk)
    try:
        class_list.delete()
    except ProtectedError:
        messages.error(request, f"“{class_list.name}” stays: a collection or a run uses one of its versions.")
        return redirect("class_lists:detail", pk)
    messages.success(request, f"“{class_list.name}” is deleted.")
    return redirect("class_lists:index")


@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """Say what is wrong with names that are being typed."""
    return render(request, "class_lists/_check.html", checked(request.POST.get("names", "")))


def checked(text: str) -> dict[str, object]:
    """Return what the check shows: the faults, or how many names there are."""
    found = faults(text)
    names = () if found else parse_names(text)
    return {"faults": found[:FAULTS_SHOWN], "more_faults": max(0, len(found) - FAULTS_SHOWN),
            "name_count": len(names), "heading": heading_note(names), "is_empty": not text.strip()}


@require_http_methods(["GET", "POST"])
def editor(request: HttpRequest) -> HttpResponse:
    """Answer with the editor filled from a list (GET `class_list`) or from a sent file (POST `file`)."""
    sent = request.POST if request.method == "POST" else request.GET
    context: dict[str, object] = {name: sent.get(name, "") for name in ("list_name", "plain")}
    context["text"] = sent.get("names", "")
    chosen = sent.get("class_list", "")
    if chosen.isascii() and chosen.isdigit() and len(chosen) < 19:
        class_list = get_visible_class_list(request, int(chosen))
        context |= {"class_list": class_list, "newest": class_list.latest}
        if request.method == "GET":
            context["text"] = "\n".join(class_list.latest.names)
    if request.FILES.get("file"):
        try:
            context["text"] = read_list_file(request.FILES["file"])
        except DataError as error:
            context["file_fault"] = str(error)
    return render(request, "class_lists/_editor.html", {**context, **checked(str(context["text"]))})
