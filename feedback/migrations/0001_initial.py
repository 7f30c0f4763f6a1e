"""Tables of feedback."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('governance', '0002_refuse_changes'),
        ('principles', '0002_refuse_changes'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Comparison',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('labels_wanted', models.PositiveSmallIntegerField(default=3)),
                ('places_taken', models.PositiveSmallIntegerField(default=0)),
                ('shuffle', models.PositiveIntegerField(editable=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('community', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='comparisons', to='governance.community')),
                ('principle', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='comparisons', to='principles.principle')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Assignment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('swapped', models.BooleanField()),
                ('status', models.CharField(choices=[('leased', 'Leased'), ('labelled', 'Labelled'), ('skipped', 'Skipped'), ('expired', 'Expired')], default='leased', max_length=10)),
                ('leased_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('skip_reason', models.CharField(blank=True, max_length=200)),
                ('annotator', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('comparison', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assignments', to='feedback.comparison')),
            ],
        ),
        migrations.CreateModel(
            name='Dataset',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('purpose', models.CharField(choices=[('training', 'Training'), ('evaluation', 'Held-out pairs')], max_length=10)),
                ('status', models.CharField(choices=[('queued', 'Queued'), ('freezing', 'Being frozen'), ('frozen', 'Frozen'), ('failed', 'Failed')], default='queued', max_length=10)),
                ('labels_up_to', models.PositiveBigIntegerField()),
                ('requested_at', models.DateTimeField()),
                ('lease_until', models.DateTimeField(null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('frozen_at', models.DateTimeField(null=True)),
                ('digest', models.CharField(blank=True, max_length=64)),
                ('listing', models.JSONField(default=dict)),
                ('pairs', models.PositiveIntegerField(default=0)),
                ('labels', models.PositiveIntegerField(default=0)),
                ('figures', models.JSONField(default=dict)),
                ('error', models.TextField(blank=True)),
                ('community', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='datasets', to='governance.community')),
                ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='datasets', to='principles.version')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Label',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('choice', models.CharField(choices=[('a', 'First'), ('b', 'Second'), ('tie', 'Equally good'), ('both_bad', 'Both bad')], max_length=10)),
                ('strength', models.PositiveSmallIntegerField(default=1)),
                ('note', models.TextField(blank=True, max_length=1000)),
                ('idempotency_key', models.UUIDField(default=uuid.uuid4, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('recorded', models.BooleanField(default=False)),
                ('assignment', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='label', to='feedback.assignment')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Prompt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField(max_length=8000)),
                ('digest', models.CharField(max_length=64)),
                ('split', models.CharField(choices=[('train', 'Training'), ('evaluation', 'Evaluation only')], max_length=10)),
                ('hazard_codes', models.JSONField(blank=True, default=list)),
                ('language', models.CharField(default='en', max_length=12)),
                ('source', models.CharField(blank=True, max_length=200)),
                ('licence', models.CharField(default='CC0-1.0', max_length=60)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('hidden', models.BooleanField(default=False)),
                ('community', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='prompts', to='governance.community')),
                ('submitted_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.AddField(
            model_name='comparison',
            name='prompt',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='comparisons', to='feedback.prompt'),
        ),
        migrations.CreateModel(
            name='Response',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField(max_length=32000)),
                ('digest', models.CharField(max_length=64)),
                ('arm', models.CharField(max_length=30)),
                ('model_name', models.CharField(max_length=200)),
                ('model_digest', models.CharField(max_length=64)),
                ('parameters', models.JSONField(default=dict)),
                ('hidden', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('prompt', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='responses', to='feedback.prompt')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.AddField(
            model_name='comparison',
            name='response_a',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='feedback.response'),
        ),
        migrations.AddField(
            model_name='comparison',
            name='response_b',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='feedback.response'),
        ),
        migrations.CreateModel(
            name='ReviewItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('target', models.CharField(choices=[('prompt', 'Prompt'), ('response', 'Response')], max_length=10)),
                ('target_key', models.PositiveBigIntegerField()),
                ('snapshot', models.TextField()),
                ('status', models.CharField(choices=[('open', 'Waiting'), ('claimed', 'Being reviewed'), ('decided', 'Decided')], default='open', max_length=10)),
                ('claim_expires_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('claimed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('community', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='review_items', to='governance.community')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Report',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(choices=[('harmful', 'Harmful or dangerous'), ('private', 'Personal data'), ('hate', 'Hateful'), ('spam', 'Spam or off topic'), ('other', 'Something else')], max_length=10)),
                ('note', models.TextField(blank=True, max_length=1000)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('reporter', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reports', to='feedback.reviewitem')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('action', models.CharField(choices=[('keep', 'Keep it'), ('hide', 'Hide it')], max_length=10)),
                ('reason', models.TextField(max_length=2000)),
                ('decided_at', models.DateTimeField()),
                ('moderator', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('principle', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='principles.principle')),
                ('item', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='decision', to='feedback.reviewitem')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.AddIndex(
            model_name='assignment',
            index=models.Index(fields=['annotator', 'status'], name='assignment_mine'),
        ),
        migrations.AddIndex(
            model_name='assignment',
            index=models.Index(fields=['status', 'expires_at'], name='assignment_due'),
        ),
        migrations.AddConstraint(
            model_name='assignment',
            constraint=models.UniqueConstraint(fields=('comparison', 'annotator'), name='assignment_once'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.UniqueConstraint(fields=('community', 'number'), name='dataset_numbered'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('frozen_at__isnull', False), ('status', 'frozen'), models.Q(('digest', ''), _negated=True)), models.Q(models.Q(('status', 'frozen'), _negated=True), ('digest', ''), ('frozen_at__isnull', True)), _connector='OR'), name='dataset_has_digest_exactly_when_frozen'),
        ),
        migrations.AddIndex(
            model_name='label',
            index=models.Index(condition=models.Q(('recorded', False)), fields=['id'], name='label_unrecorded'),
        ),
        migrations.AddConstraint(
            model_name='label',
            constraint=models.CheckConstraint(condition=models.Q(('strength__gte', 1), ('strength__lte', 3)), name='label_strength_1_to_3'),
        ),
        migrations.AddConstraint(
            model_name='prompt',
            constraint=models.UniqueConstraint(fields=('community', 'digest'), name='prompt_once'),
        ),
        migrations.AddConstraint(
            model_name='response',
            constraint=models.UniqueConstraint(fields=('prompt', 'digest'), name='response_once'),
        ),
        migrations.AddIndex(
            model_name='comparison',
            index=models.Index(condition=models.Q(('places_taken__lt', models.F('labels_wanted'))), fields=['community', 'places_taken', 'shuffle'], name='comparison_wanted'),
        ),
        migrations.AddConstraint(
            model_name='comparison',
            constraint=models.UniqueConstraint(fields=('response_a', 'response_b', 'principle'), name='comparison_once'),
        ),
        migrations.AddConstraint(
            model_name='comparison',
            constraint=models.CheckConstraint(condition=models.Q(('response_a', models.F('response_b')), _negated=True), name='comparison_of_two_responses'),
        ),
        migrations.AddConstraint(
            model_name='comparison',
            constraint=models.CheckConstraint(condition=models.Q(('places_taken__lte', models.F('labels_wanted'))), name='comparison_places_are_a_hard_cap'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'decided'), _negated=True), fields=('community', 'target', 'target_key'), name='review_item_once_while_undecided'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('claim_expires_at__isnull', True), ('claimed_by__isnull', True), ('status', 'open')), models.Q(('claim_expires_at__isnull', False), ('claimed_by__isnull', False), ('status', 'claimed')), models.Q(('claimed_by__isnull', False), ('status', 'decided')), _connector='OR'), name='review_item_claimed_exactly_when_held'),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.UniqueConstraint(fields=('item', 'reporter'), name='report_once'),
        ),
        migrations.AddConstraint(
            model_name='decision',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='decision_states_its_reason'),
        ),
    ]
