"""The forms of a collection: its name, its question, its held-out part."""

from __future__ import annotations

from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from core.catalog import MIRROR_HELP
from core.errors import DataError
from core.names import decode_text, parse_names, too_few
from webapp.collections.models import ClassList, ClassListVersion, Collection, Upload
from webapp.collections.naming import check_list_name, create_class_list, edit_class_list, free_list_name

MAX_CLASSES = 10_000
MAX_LIST_BYTES = 4_000_000


class CollectionForm(forms.Form):
    """A collection's name."""

    name = forms.CharField(label="Name", max_length=200, error_messages={"required": "Give the collection a name."})


def read_list_file(file: object) -> str:
    """Return the text of an uploaded list of names.

    Raises:
        DataError: naming the file and its encoding, or that it is too large.
    """
    if file.size > MAX_LIST_BYTES:
        raise DataError(file.name, f"{file.size // 1000:,} kB; at most {MAX_LIST_BYTES // 1000:,} kB can be read")
    return decode_text(file.read(), file.name)


class QuestionForm(forms.Form):
    """What is asked of the images: names, a number of classes, or nothing that is known."""

    KINDS = (("names", "I have class names"), ("number", "I know how many classes"), ("unknown", "I don't know"))

    kind = forms.ChoiceField(choices=KINDS)
    class_list = forms.ChoiceField(label="Class list", required=False)
    list_name = forms.CharField(label="Name of the new list", required=False, max_length=120)
    names = forms.CharField(label="Class names, one a line", required=False, strip=False, max_length=2_000_000,
                            widget=forms.Textarea)
    file = forms.FileField(label="From a text file", required=False)
    num_classes = forms.CharField(label="Number of classes", required=False, max_length=10, widget=forms.NumberInput(
        attrs={"min": 2, "max": MAX_CLASSES, "inputmode": "numeric"}))
    mirror = forms.BooleanField(label="Mirror images mean the same", required=False, help_text=MIRROR_HELP)

    def __init__(self, collection: Collection, person: AbstractBaseUser, data: QueryDict | None = None,
                 files: MultiValueDict | None = None) -> None:
        """Show the collection's question as it is, or check a new one; new lists are the `person`'s."""
        self.collection, self.person = collection, person
        version = collection.class_list_version
        super().__init__(data, files, initial={
            "kind": "names" if version else "number" if collection.num_classes else "unknown",
            "class_list": version.class_list_id if version else "new",
            "names": "\n".join(version.names) if version else "",
            "num_classes": collection.num_classes, "mirror": collection.mirror})
        asked = Q(pk=version.class_list_id) if version else Q(pk=None)
        lists = ClassList.objects.filter(Q(owner=person) | asked).order_by("name")
        self.fields["class_list"].choices = [("new", "A new list"), *((one.pk, one.name) for one in lists)]
        self.parsed: tuple[str, ...] = ()

    def clean(self) -> dict[str, object]:
        """Check the part of the form that the chosen kind uses; the rest is not looked at."""
        values = super().clean()
        kind = values.get("kind")
        try:
            if kind == "names":
                self._check_names(values)
            elif kind == "number":
                self._check_number(values)
        except DataError as error:
            self.add_error("num_classes" if kind == "number" else "names", sentence(error.reason))
        return values

    def _check_names(self, values: dict[str, object]) -> None:
        text = values.get("names") or ""
        if values.get("file"):
            text = values["names"] = read_list_file(values["file"])
        self.parsed = parse_names(text)
        if len(self.parsed) == 1:  # more names than images are fine: zero-shot reads them all
            raise DataError("classes", f"one name: nothing to tell apart; {too_few(self.parsed[0])}")
        if values.get("class_list") in ("new", "", None) and values.get("list_name"):
            try:
                values["list_name"] = check_list_name(self.person, values["list_name"])
            except DataError as error:
                self.add_error("list_name", sentence(error.reason))

    def _check_number(self, values: dict[str, object]) -> None:
        text = (values.get("num_classes") or "").strip()
        if not text.isascii() or not text.isdigit():
            raise DataError("classes", "write a whole number, or choose “I don't know”")
        values["num_classes"] = int(text)
        if int(text) > MAX_CLASSES:
            raise DataError("classes", f"at most {MAX_CLASSES:,} classes can be told apart")
        self._check_count(int(text))

    def _check_count(self, count: int) -> None:
        """Refuse a question that no run could answer (images still on their way count in its favour)."""
        if count < 2:
            raise DataError("classes", "one class: nothing to tell apart; give at least two")
        images = self.collection.images.count()
        on_their_way = self.collection.uploads.exclude(status__in=[Upload.Status.DONE, Upload.Status.REFUSED]).exists()
        if images and not on_their_way and count > images:
            raise DataError("classes", f"{count:,} classes for {images:,} images; give fewer classes, or add images")

    def save(self) -> Collection:
        """Store the question: a new list, a new version of a list, or none."""
        values, collection = self.cleaned_data, self.collection
        collection.class_list_version = self._version() if values["kind"] == "names" else None
        collection.num_classes = values["num_classes"] if values["kind"] == "number" else None
        collection.mirror = values["mirror"]
        collection.save(update_fields=["class_list_version", "num_classes", "mirror"])
        return collection

    def _version(self) -> ClassListVersion:
        chosen = self.cleaned_data["class_list"]
        if chosen in ("new", ""):
            name = self.cleaned_data["list_name"] or free_list_name(self.person, self.collection.name)
            return create_class_list(self.person, name, self.parsed)
        class_list, asked = ClassList.objects.get(pk=chosen), self.collection.class_list_version
        if class_list.owner_id == self.person.pk:
            return edit_class_list(class_list, self.parsed, self.person)
        if asked is not None and asked.names == list(self.parsed):
            return asked
        # Another owner's list: what is changed here becomes a list of one's own.
        return create_class_list(self.person, free_list_name(self.person, class_list.name), self.parsed)


def sentence(reason: str) -> str:
    """Return a reason as a sentence."""
    return reason[:1].upper() + reason[1:] + ("" if reason.endswith((".", "!", "?")) else ".")
