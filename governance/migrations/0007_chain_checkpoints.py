"""Checkpoints get a number and the digest of the one before; those that are there keep theirs."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0006_refuse_changes_of_open_polls")]
    operations = [
        migrations.AddField(
            model_name="checkpoint",
            name="number",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="checkpoint",
            name="previous",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddConstraint(
            model_name="checkpoint",
            constraint=models.UniqueConstraint(
                condition=models.Q(number__gt=0),
                fields=("community", "number"),
                name="checkpoint_numbered_once",
            ),
        ),
    ]
