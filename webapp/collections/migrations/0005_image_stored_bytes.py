from django.conf import settings
from django.db import migrations, models


def measure(apps, schema_editor):
    """Note the size of what is stored already; a file that has gone counts nothing."""
    Image = apps.get_model("collections", "Image")
    images = Image.objects.filter(duplicate_of=None).only("pk", "file", "thumbnail")
    measured = []
    for image in images.iterator():
        paths = [settings.MEDIA_ROOT / image.file, settings.MEDIA_ROOT / image.thumbnail]
        image.stored_bytes = sum(path.stat().st_size for path in paths if path.is_file())
        measured.append(image)
        if len(measured) == 1000:
            Image.objects.bulk_update(measured, ["stored_bytes"])
            measured.clear()
    Image.objects.bulk_update(measured, ["stored_bytes"])


class Migration(migrations.Migration):

    dependencies = [
        ("collections", "0004_upload_sha256"),
    ]

    operations = [
        migrations.AddField(
            model_name="image",
            name="stored_bytes",
            field=models.BigIntegerField(default=0, help_text="of file and thumbnail; 0 where it shares another's"),
        ),
        migrations.RunPython(measure, migrations.RunPython.noop),
    ]
