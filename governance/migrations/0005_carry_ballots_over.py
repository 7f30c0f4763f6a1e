"""A ballot's choice becomes its content; a poll's electorate gets its weight and its period."""

from django.db import migrations

FORWARD = """
UPDATE governance_ballot SET content = to_jsonb(choice);
UPDATE governance_poll SET electorate_weight = electorate_size, period = closes_at - opened_at;
"""
BACKWARD = "UPDATE governance_ballot SET choice = content #>> '{}';"


class Migration(migrations.Migration):
    dependencies = [("governance", "0004_polls_that_hold_up")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
