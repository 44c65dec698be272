"""The form of a new run, made from the catalog: one field a setting, checked by the catalog itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from django import forms
from django.db.models import QuerySet
from django.forms import BoundField

from core.catalog import BACKBONES, METHODS, parse
from core.cost import Cost, cost
from core.errors import ConfigError, DataError
from core.presets.table import PRESETS
from core.recommendation import LargerModel, larger_model
from core.settings import Setting, Value, defaults, describe, split_list
from webapp.collections.forms import MAX_CLASSES
from webapp.collections.models import Collection
from webapp.runs.further import OTHER_COLLECTIONS, count_brought
from webapp.runs.models import Run
from webapp.runs.presence import are_on_gpu
from webapp.runs.starting import (
    MAX_SEED,
    Asked,
    adapted_runs,
    foundations,
    preset_of,
    question_of,
    settings_of,
    start_run,
)

PREFIX = "setting-"
LONG_TEXTS = ("own_templates",)


class EarlierRunField(forms.ModelChoiceField):
    """A choice of runs, called as their pages are."""

    def label_from_instance(self, obj: Run) -> str:
        """Return what tells runs apart."""
        return f"{METHODS[obj.method].title} run {obj.pk} on {obj.collection.name}"


class RunForm(forms.Form):
    """A method's question, preset, seed and settings for one collection.

    Unbound, `chosen` (from the address) says which method, preset and foundation model to start from.
    """

    method = forms.ChoiceField(choices=[(name, one.title) for name, one in METHODS.items()])
    preset = forms.ChoiceField(required=False, label="Preset",
                               help_text="Sets the settings below, which you may still change.")
    num_classes = forms.IntegerField(
        required=False, label="Number of classes", min_value=2, max_value=MAX_CLASSES,
        help_text="Leave empty for \"don't know\": several numbers are tried and the likeliest is suggested.")
    warm_up = forms.ModelChoiceField(
        Collection.objects.none(), required=False, label="Warm-up collection", empty_label="none",
        help_text="A larger collection of the same kind of pictures, seen first with the classifier frozen.")
    replay = forms.ModelChoiceField(
        Collection.objects.none(), required=False, label="Replay collection", empty_label="none",
        help_text="Pictures like those the foundation model once learnt from, everyday photographs for most: they keep "
                  "it from losing what it knows, as it did on some collections where we went without.")
    also = forms.ModelMultipleChoiceField(
        Collection.objects.none(), required=False, label="Also adapt to", widget=forms.CheckboxSelectMultiple,
        help_text="Further collections with pictures of the same names: one model learns from all of them. This "
                  "collection's pictures alone are answered, and one model for many may be worse for each.")
    start_from = EarlierRunField(
        Run.objects.none(), required=False, label="Begin with", empty_label="the published weights",
        help_text="An earlier run's adapted encoder, in the place of the foundation model's own weights.")
    seed = forms.IntegerField(label="Seed", min_value=0, max_value=MAX_SEED, initial=0,
                              help_text="The same seed gives the same answers.")

    def __init__(self, data: Mapping[str, str] | None = None, *, collection: Collection, method: str,
                 chosen: Mapping[str, str] | None = None, earlier: Run | None = None,
                 others: QuerySet[Collection] | None = None) -> None:
        """Build the fields that `method` has; an `earlier` run of it gives their first values.

        `others` are the collections whose pictures the person may use besides; none, if not given.
        """
        super().__init__(data)
        self.collection, self.method_name, chosen = collection, method, chosen or {}
        self.others = (Collection.objects.none() if others is None else others).exclude(pk=collection.pk)
        self.earlier = earlier if earlier is not None and earlier.method == method else None
        self.question, self.on_gpu = question_of(collection), are_on_gpu()
        self.num_further = count_brought(collection, self._further(chosen if data is None else data))
        self.good_values: dict[str, Value] = {}
        self.initial["method"] = method
        self._add_presets(chosen)
        self._add_question(chosen)
        for name, known in describe(METHODS[method].settings).items():
            self.fields[PREFIX + name] = _field(known, name, self.start_values[name])

    def _further(self, source: Mapping[str, str]) -> list[Collection]:
        """Return the further collections that `source`, or else the earlier run, chooses of the person's others."""
        if not METHODS[self.method_name].joins:
            return []
        given = forms.CheckboxSelectMultiple().value_from_datadict(source, {}, "also")
        if not given and self.earlier:
            given = self.earlier.also
        numbers = [int(one) for one in map(str, given or ()) if one.isdecimal() and len(one) < 18]
        self.initial["also"] = numbers
        return list(self.others.filter(pk__in=numbers))

    def _add_presets(self, chosen: Mapping[str, str]) -> None:
        """Offer the method's presets and take the values of the chosen one."""
        known = PRESETS.get(self.method_name, {})
        preset = chosen.get("preset", preset_of(self.earlier) if self.earlier else "")
        preset = preset if preset in known else ""
        values: dict[str, object] = dict(self.earlier.settings) if self.earlier else {}
        for name in ("backbone", "spaces"):
            if chosen.get(PREFIX + name) in BACKBONES and name in defaults(METHODS[self.method_name].settings):
                values[name] = chosen[PREFIX + name]
        try:
            name, self.start_values = settings_of(self.collection, self.method_name, preset, values, self.question,
                                                  self.num_further)
        except ConfigError:  # a setting that is no more, or another method's foundation model
            name, self.start_values = settings_of(self.collection, self.method_name, preset, {}, self.question,
                                                  self.num_further)
        if len(known) > 1:
            first = ("", f"recommended: {name}")
            self.fields["preset"].choices = [first, *((one, one) for one in known)]  # type: ignore[attr-defined]
            self.initial["preset"] = preset
        else:
            del self.fields["preset"]

    def _add_question(self, chosen: Mapping[str, str]) -> None:
        """Keep the fields of the question that this method asks."""
        if METHODS[self.method_name].needs == "names":
            del self.fields["num_classes"]
        else:
            self.fields["num_classes"].required = METHODS[self.method_name].needs == "count"
            self.initial["num_classes"] = chosen.get("num_classes") or self.question.count
        for field, setting in OTHER_COLLECTIONS.items():
            if setting in self.start_values:
                self.fields[field].queryset = self.others.order_by("name")  # type: ignore[attr-defined]
                self.initial[field] = chosen.get(field, "")
            else:
                del self.fields[field]
        if METHODS[self.method_name].joins and (self.is_bound or self.others.exists()):
            self.fields["also"].queryset = self.others.order_by("name")  # type: ignore[attr-defined]
        else:
            del self.fields["also"]
        self._add_start(chosen)
        self.initial["seed"] = chosen.get("seed") or 0
        if self.earlier:
            self.initial |= {"seed": self.earlier.seed, "num_classes": self.earlier.num_classes,
                             "warm_up": self.earlier.warm_up_id, "replay": self.earlier.replay_id,
                             "start_from": self.earlier.start_from_id}

    def _add_start(self, chosen: Mapping[str, str]) -> None:
        """Offer the runs whose encoder fits the foundation model; of what is sent, `start_run` says what is wrong."""
        adapted = adapted_runs(self.collection, self.others)
        if not self.is_bound:
            wanted = set(foundations(self.start_values))
            adapted = adapted.filter(pk__in=[run.pk for run in adapted if wanted & set(foundations(run.settings))])
        if not self.is_bound and not adapted.exists():
            del self.fields["start_from"]
            return
        self.fields["start_from"].queryset = adapted  # type: ignore[attr-defined]
        self.initial["start_from"] = chosen.get("start_from", "")

    @property
    def cost(self) -> Cost:
        """Return what a run with the form's values would take; the first ones stand in for what is wrong."""
        return cost(self.method_name, self.start_values | self.good_values, self.question, self.num_further)

    @property
    def duration(self) -> str:
        """Return the cost in words, for the workers that are there."""
        return self.cost.in_words(self.on_gpu)

    @property
    def larger(self) -> LargerModel | None:
        """Return the foundation model that might be taken in the starter's place."""
        return larger_model(self.method_name, self.start_values | self.good_values, self.question, self.on_gpu,
                            self.num_further)

    def plain_fields(self) -> Iterator[BoundField]:
        """Yield the fields shown at once."""
        yield from (self[name] for name in ("num_classes", "preset") if name in self.fields)
        yield from self._settings(advanced=False)

    def advanced_fields(self) -> Iterator[BoundField]:
        """Yield the fields folded away."""
        yield from (self[name] for name in (*OTHER_COLLECTIONS, "also", "start_from", "seed") if name in self.fields)
        yield from self._settings(advanced=True)

    @property
    def has_advanced_errors(self) -> bool:
        """Tell whether the fold must be open for its errors to be seen."""
        return any(field.errors for field in self.advanced_fields())

    @property
    def is_unfolded(self) -> bool:
        """Tell whether the fold is open: for its errors, or for the further collections that are ticked in it."""
        return bool(self.initial.get("also")) or self.has_advanced_errors

    def _settings(self, *, advanced: bool) -> Iterator[BoundField]:
        for name, known in describe(METHODS[self.method_name].settings).items():
            if known.advanced == advanced:
                yield self[PREFIX + name]

    def values(self) -> dict[str, object]:
        """Return the settings as the person gave them."""
        return {name.removeprefix(PREFIX): value for name, value in self.cleaned_data.items()
                if name.startswith(PREFIX)}

    def clean(self) -> dict[str, object]:
        """Check the settings by the catalog, each alone and then together; every error stands by its field."""
        values = self.values()
        for name, value in values.items():
            try:
                self.good_values[name] = asdict(parse(self.method_name, {name: value}))[name]
            except ConfigError as error:
                if error.setting == name:
                    self.add_error(PREFIX + name, error.reason)
        if not self.errors:
            try:
                parse(self.method_name, values)
            except ConfigError as error:
                self.add_error(PREFIX + error.setting, error.reason)
        return self.cleaned_data

    def start(self) -> Run | None:
        """Queue the run; or keep the errors, each by its field, and return None."""
        if not self.is_valid():
            return None
        given = self.cleaned_data
        asked = Asked.of(self.collection)
        if "num_classes" in given:
            asked = asked.counting(given["num_classes"])
        values = self.values()
        if asked.version is None:  # another number of classes was given than there are names
            values.pop("names_from_labels", None)
        try:
            return start_run(collection=self.collection, method=self.method_name, values=values, asked=asked,
                             preset=given.get("preset", ""), seed=given["seed"], start_from=given.get("start_from"),
                             also=list(given.get("also") or ()),
                             **{field: given.get(field) for field in OTHER_COLLECTIONS})
        except ConfigError as error:
            places = (PREFIX + error.setting, error.setting)
            self.add_error(next((one for one in places if one in self.fields), None), str(error))
        except DataError as error:
            place = {"classes": "num_classes", "labels": PREFIX + "oracle"}.get(error.file, error.file)
            said = f"{error.file}: {error.reason}"  # with names in it, so only its first letter is changed
            self.add_error(place if place in self.fields else None, said[:1].upper() + said[1:])
        return None


class SeveralField(forms.MultipleChoiceField):
    """Several choices, kept as the catalog wants them: separated by commas."""

    def clean(self, value: list[str]) -> str:  # type: ignore[override]
        """Return the names joined."""
        return ",".join(super().clean(value))


def _field(known: Setting, name: str, value: Value) -> forms.Field:
    """Make the form field of one setting; what it accepts is for the catalog to say."""
    field: forms.Field
    titles = [(one, BACKBONES[one].title if one in BACKBONES else one) for one in known.choices]
    if known.at_most > 1:
        field = SeveralField(choices=titles, widget=forms.CheckboxSelectMultiple, initial=split_list(str(value)),
                             error_messages={"required": f"Choose one to {known.at_most}."})
    elif isinstance(value, bool):
        field = forms.BooleanField(required=False, initial=value)
    elif known.choices:
        field = forms.ChoiceField(choices=titles, initial=value)
    elif isinstance(value, int | float):
        field = forms.CharField(widget=forms.NumberInput(attrs=_bounds(known, value)), initial=f"{value:.10g}",
                                error_messages={"required": f"Give a number; it was {value:g}."})
    else:
        widget = forms.Textarea(attrs={"rows": 3}) if name in LONG_TEXTS else forms.TextInput()
        field = forms.CharField(required=False, initial=value, widget=widget)
    field.label, field.help_text = known.label, known.help if known.at_most == 1 else f"Choose one to {known.at_most}."
    field.symbol, field.bounds = known.symbol, _range(known)  # type: ignore[attr-defined]
    return field


def _bounds(known: Setting, value: float) -> dict[str, object]:
    """Return the attributes of a number's input."""
    bounds = {"min": known.low, "max": known.high, "step": 1 if isinstance(value, int) else "any"}
    return {name: f"{one:.15g}" if isinstance(one, float) else one for name, one in bounds.items() if one is not None}


def _range(known: Setting) -> str:
    """Write a number's bounds for a person."""
    if known.low is None or known.high is None:
        return ""
    return f"{known.low:,.10g} to {known.high:,.10g}"
