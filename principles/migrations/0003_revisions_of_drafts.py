"""Drafts and their principles count their changes, so that nobody overwrites what they never read."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [('principles', '0002_refuse_changes')]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='draft',
            name='revision',
            field=models.PositiveIntegerField(db_default=1, default=1),
        ),
        migrations.AddField(
            model_name='draftprinciple',
            name='revision',
            field=models.PositiveIntegerField(db_default=1, default=1),
        ),
    ]
