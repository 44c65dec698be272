from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("runs", "0013_worker_on_gpu"),
    ]

    operations = [
        migrations.AddField(
            model_name="prediction",
            name="telling",
            field=models.PositiveSmallIntegerField(null=True, help_text="its place among the images to name first, from 0; "
                                                                        "null for all others"),
        ),
    ]
