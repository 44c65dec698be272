"""Keep the name that a person gave in a spot check; an earlier answer gets the name that its class has now."""

from __future__ import annotations

from typing import Any

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

READ_NAMES = ("zeroshot", "must", "semimae")
"""Methods that answer in the names of a class list; the groups of others can be renamed."""


def name_answers(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Write the names as they stand: what they were when the person answered was not kept."""
    answers = apps.get_model("spot_checks", "SampledImage").objects.filter(verdict="named")
    checked = apps.get_model("runs", "Run").objects.filter(pk__in=answers.values("spot_check__run"))
    for run in checked.select_related("class_list_version"):
        names = class_names(apps, run)
        of_run = answers.filter(spot_check__run=run)
        for index in set(of_run.values_list("class_index", flat=True)):
            of_run.filter(class_index=index).update(class_name=names.get(index, f"cluster {index + 1}"))


def class_names(apps: Apps, run: Any) -> dict[int, str]:
    """Return class index -> name, as `webapp.review.names` told it when this was written."""
    if run.class_list_version is not None and run.method in READ_NAMES:
        return dict(enumerate(run.class_list_version.names))
    given = apps.get_model("review", "ClusterName").objects.filter(
        action__run=run, action__undone_at=None).order_by("action_id")
    return dict(enumerate(run.result.get("class_names") or [])) | dict(given.values_list("class_index", "name"))


class Migration(migrations.Migration):
    """Answers have names."""

    dependencies = [("spot_checks", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="sampledimage",
            name="class_name",
            field=models.CharField(default="", help_text="what it was called when the person named it", max_length=200),
        ),
        migrations.RunPython(name_answers, migrations.RunPython.noop),
        migrations.RemoveConstraint(model_name="sampledimage", name="a_class_where_one_is_named"),
        migrations.AddConstraint(
            model_name="sampledimage",
            constraint=models.CheckConstraint(name="a_class_where_one_is_named", condition=(
                models.Q(verdict="named", class_index__isnull=False) & ~models.Q(class_name="")
                | ~models.Q(verdict="named") & models.Q(class_index__isnull=True, class_name=""))),
        ),
    ]
