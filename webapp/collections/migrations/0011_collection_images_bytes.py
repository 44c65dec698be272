from django.db import migrations, models
from django.db.models import Sum


def add_up(apps, schema_editor):
    """Note what the images that are stored already take."""
    Collection = apps.get_model("collections", "Collection")
    for collection in Collection.objects.annotate(stored=Sum("images__stored_bytes")).exclude(stored=None):
        Collection.objects.filter(pk=collection.pk).update(images_bytes=collection.stored)


class Migration(migrations.Migration):

    dependencies = [
        ("collections", "0010_upload_sender"),
    ]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="images_bytes",
            field=models.BigIntegerField(default=0, help_text="sum of its images' stored_bytes: with a quota it is "
                                                              "asked for each file that comes"),
        ),
        migrations.RunPython(add_up, migrations.RunPython.noop),
    ]
