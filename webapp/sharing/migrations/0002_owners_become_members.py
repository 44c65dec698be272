"""Give every collection's owner the membership that every later collection is made with."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def make_owners_members(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make what is missing; twice changes nothing."""
    collection, membership = apps.get_model("collections", "Collection"), apps.get_model("sharing", "Membership")
    missing = collection.objects.exclude(memberships__role="owner").values_list("pk", "owner")
    membership.objects.bulk_create(
        [membership(collection_id=pk, user_id=owner, role="owner") for pk, owner in missing.iterator()],
        batch_size=500)


class Migration(migrations.Migration):
    """Owners become members."""

    dependencies = [("sharing", "0001_initial")]

    operations = [migrations.RunPython(make_owners_members, migrations.RunPython.noop)]
