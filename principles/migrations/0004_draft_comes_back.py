"""Triggers: a draft whose poll is withdrawn comes back to its author, and no other way."""

from django.db import migrations

FUNCTION = """
SET LOCAL lock_timeout = '5s';
CREATE OR REPLACE FUNCTION folkmoot_refuse_draft_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'editing'
       AND (to_jsonb(NEW) - {free})
           <> (to_jsonb(OLD) - {free}) THEN
        RAISE EXCEPTION 'A draft is not edited after it was proposed or withdrawn.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""
USUAL = "ARRAY['status', 'updated_at']"
COMING_BACK = f"""CASE
    WHEN OLD.status = 'proposed' AND NEW.status = 'editing'
    THEN ARRAY['status', 'updated_at', 'poll_id'] ELSE {USUAL} END"""


class Migration(migrations.Migration):
    dependencies = [("principles", "0003_revisions_of_drafts")]
    operations = [
        migrations.RunSQL(FUNCTION.format(free=COMING_BACK), FUNCTION.format(free=USUAL))
    ]
