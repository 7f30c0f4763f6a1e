"""Polls with options, a life before opening, an urn, delegation, motions and checkpoints."""

import datetime
import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


OLD_TRIGGERS = """
CREATE TRIGGER poll_is_frozen BEFORE UPDATE ON governance_poll
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_poll_edit();
CREATE TRIGGER ballot_is_in_time BEFORE INSERT OR UPDATE OR DELETE ON governance_ballot
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_late_ballot();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0003_api_tokens'),
    ]

    operations = [
        migrations.RunSQL(
            "SET LOCAL lock_timeout = '5s';"
            "DROP TRIGGER ballot_is_in_time ON governance_ballot;"
            "DROP TRIGGER poll_is_frozen ON governance_poll;",
            OLD_TRIGGERS,
        ),
        migrations.CreateModel(
            name='BallotAct',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('voter', models.CharField(max_length=32)),
                ('act', models.CharField(choices=[('cast', 'Cast'), ('replaced', 'Replaced'), ('withdrawn', 'Withdrawn')], max_length=10)),
                ('commitment', models.CharField(blank=True, max_length=64)),
                ('idempotency_key', models.CharField(blank=True, max_length=64)),
                ('batch', models.PositiveIntegerField(null=True)),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Checkpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('length', models.PositiveBigIntegerField()),
                ('head', models.CharField(max_length=64)),
                ('at', models.CharField(max_length=27)),
                ('public_key', models.CharField(max_length=64)),
                ('signature', models.CharField(max_length=128)),
                ('posted_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['community', 'length'],
            },
        ),
        migrations.CreateModel(
            name='Delegation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('topic', models.CharField(blank=True, max_length=30)),
                ('given_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Motion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('close_early', 'Close a poll early'), ('withdraw_poll', 'Withdraw an open poll'), ('change_steward', 'Change who is a steward')], max_length=20)),
                ('role', models.CharField(blank=True, choices=[('member', 'Member'), ('moderator', 'Moderator'), ('steward', 'Steward')], max_length=10)),
                ('reason', models.CharField(max_length=1000)),
                ('status', models.CharField(choices=[('waiting', 'Waits for a second steward'), ('carried', 'Carried'), ('declined', 'Declined'), ('lapsed', 'Lapsed')], default='waiting', max_length=10)),
                ('moved_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='UrnBallot',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('content', models.JSONField()),
            ],
        ),
        migrations.AlterModelOptions(
            name='poll',
            options={'ordering': [models.OrderBy(models.F('opened_at'), descending=True, nulls_first=True), '-pk']},
        ),
        migrations.RemoveConstraint(
            model_name='ballot',
            name='ballot_choice_known',
        ),
        migrations.RemoveConstraint(
            model_name='poll',
            name='poll_has_outcome_exactly_when_closed',
        ),
        migrations.RemoveConstraint(
            model_name='poll',
            name='poll_closes_after_opening',
        ),
        migrations.AddField(
            model_name='ballot',
            name='content',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='ballot',
            name='nonce',
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AddField(
            model_name='community',
            name='rules',
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name='elector',
            name='group',
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddField(
            model_name='elector',
            name='weight',
            field=models.PositiveSmallIntegerField(default=1),
        ),
        migrations.AddField(
            model_name='poll',
            name='electorate_weight',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='poll',
            name='extended_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='poll',
            name='opens_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='poll',
            name='options',
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name='poll',
            name='period',
            field=models.DurationField(default=datetime.timedelta(days=7)),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='poll',
            name='reason',
            field=models.CharField(blank=True, max_length=1000),
        ),
        migrations.AddField(
            model_name='poll',
            name='seed',
            field=models.CharField(default='', editable=False, max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='poll',
            name='seed_digest',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name='poll',
            name='standing',
            field=models.CharField(blank=True, editable=False, max_length=80),
        ),
        migrations.AlterField(
            model_name='ballot',
            name='cast_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name='poll',
            name='closes_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='poll',
            name='electorate_digest',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AlterField(
            model_name='poll',
            name='electorate_size',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name='poll',
            name='opened_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='poll',
            name='outcome',
            field=models.CharField(blank=True, choices=[('passed', 'Passed'), ('rejected', 'Rejected'), ('no_quorum', 'Quorum not reached'), ('tied', 'Tied')], max_length=10),
        ),
        migrations.AlterField(
            model_name='poll',
            name='status',
            field=models.CharField(choices=[('draft', 'Draft'), ('deliberation', 'In deliberation'), ('open', 'Open'), ('closed', 'Closed'), ('withdrawn', 'Withdrawn')], default='draft', max_length=12),
        ),
        migrations.AlterField(
            model_name='poll',
            name='subject_key',
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AddConstraint(
            model_name='elector',
            constraint=models.CheckConstraint(condition=models.Q(('weight__gte', 1)), name='elector_has_weight'),
        ),
        migrations.AddConstraint(
            model_name='poll',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', False), ('status', 'closed'), ('tally__isnull', False), models.Q(('outcome', ''), _negated=True)), models.Q(('closed_at__isnull', False), ('outcome', ''), ('status', 'withdrawn'), ('tally__isnull', True)), models.Q(('closed_at__isnull', True), ('outcome', ''), ('status__in', ['draft', 'deliberation', 'open']), ('tally__isnull', True)), _connector='OR'), name='poll_has_outcome_exactly_when_closed'),
        ),
        migrations.AddConstraint(
            model_name='poll',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['open', 'closed']), _negated=True), models.Q(('closes_at__gt', models.F('opened_at')), ('electorate_size__gt', 0), models.Q(('electorate_digest', ''), _negated=True)), _connector='OR'), name='poll_opened_with_electorate_and_deadline'),
        ),
        migrations.AddConstraint(
            model_name='poll',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'withdrawn'), _negated=True), models.Q(('reason', ''), _negated=True), _connector='OR'), name='poll_withdrawn_has_reason'),
        ),
        migrations.AddConstraint(
            model_name='poll',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'deliberation'), _negated=True), ('opens_at__isnull', False), _connector='OR'), name='poll_deliberation_has_an_end'),
        ),
        migrations.AddField(
            model_name='ballotact',
            name='poll',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='acts', to='governance.poll'),
        ),
        migrations.AddField(
            model_name='checkpoint',
            name='community',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='checkpoints', to='governance.community'),
        ),
        migrations.AddField(
            model_name='delegation',
            name='community',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='delegations', to='governance.community'),
        ),
        migrations.AddField(
            model_name='delegation',
            name='delegate',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='delegation',
            name='delegator',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='delegation',
            name='poll',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='delegations', to='governance.poll'),
        ),
        migrations.AddField(
            model_name='motion',
            name='community',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='motions', to='governance.community'),
        ),
        migrations.AddField(
            model_name='motion',
            name='decided_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='motion',
            name='membership',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='motions', to='governance.membership'),
        ),
        migrations.AddField(
            model_name='motion',
            name='moved_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='motion',
            name='poll',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='motions', to='governance.poll'),
        ),
        migrations.AddField(
            model_name='urnballot',
            name='poll',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='urn', to='governance.poll'),
        ),
        migrations.AddIndex(
            model_name='ballotact',
            index=models.Index(condition=models.Q(('batch', None)), fields=['poll'], name='ballot_act_waiting'),
        ),
        migrations.AddIndex(
            model_name='ballotact',
            index=models.Index(fields=['poll', 'batch'], name='ballot_act_batch'),
        ),
        migrations.AddIndex(
            model_name='ballotact',
            index=models.Index(fields=['poll', 'voter'], name='ballot_act_voter'),
        ),
        migrations.AddConstraint(
            model_name='checkpoint',
            constraint=models.UniqueConstraint(fields=('community', 'length'), name='checkpoint_once_a_length'),
        ),
        migrations.AddConstraint(
            model_name='delegation',
            constraint=models.UniqueConstraint(fields=('community', 'delegator', 'topic', 'poll'), name='delegation_once_a_scope', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='delegation',
            constraint=models.CheckConstraint(condition=models.Q(('delegator', models.F('delegate')), _negated=True), name='delegation_to_another'),
        ),
        migrations.AddConstraint(
            model_name='delegation',
            constraint=models.CheckConstraint(condition=models.Q(('topic', ''), ('poll__isnull', True), _connector='OR'), name='delegation_has_one_scope'),
        ),
        migrations.AddConstraint(
            model_name='motion',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'change_steward'), ('membership__isnull', False), ('poll__isnull', True), models.Q(('role', ''), _negated=True)), models.Q(('kind__in', ['close_early', 'withdraw_poll']), ('membership__isnull', True), ('poll__isnull', False), ('role', '')), _connector='OR'), name='motion_has_its_subject'),
        ),
        migrations.AddConstraint(
            model_name='motion',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('status', 'waiting')), models.Q(models.Q(('status', 'waiting'), _negated=True), ('decided_at__isnull', False)), _connector='OR'), name='motion_decided_exactly_when_over'),
        ),
        migrations.AddConstraint(
            model_name='motion',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'carried'), _negated=True), models.Q(('decided_by__isnull', False), models.Q(('decided_by', models.F('moved_by')), _negated=True)), _connector='OR'), name='motion_carried_by_another'),
        ),
        migrations.AddConstraint(
            model_name='motion',
            constraint=models.UniqueConstraint(condition=models.Q(('poll__isnull', False), ('status', 'waiting')), fields=('kind', 'poll'), name='motion_once_a_poll'),
        ),
        migrations.AddConstraint(
            model_name='motion',
            constraint=models.UniqueConstraint(condition=models.Q(('membership__isnull', False), ('status', 'waiting')), fields=('membership',), name='motion_once_a_membership'),
        ),
    ]
