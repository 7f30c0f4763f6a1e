"""API tokens are kept as digests; the readable ones of Django REST framework go."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# The package's own migrations make its table again, should this be taken back.
DROP = """
DROP TABLE IF EXISTS authtoken_token;
DELETE FROM django_migrations WHERE app = 'authtoken';
"""


class Migration(migrations.Migration):

    dependencies = [('governance', '0002_refuse_changes')]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name='ApiToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('password_mark', models.CharField(max_length=128)),
                ('made_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='api_token', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.RunSQL(DROP, migrations.RunSQL.noop),
    ]
