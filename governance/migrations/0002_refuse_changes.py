"""Triggers: history cannot be rewritten, and an open poll cannot be edited."""

from django.db import migrations

FORWARD = """
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION folkmoot_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Rows of % are never changed or deleted.', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION folkmoot_refuse_poll_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'open'
       OR (to_jsonb(NEW) - ARRAY['status', 'outcome', 'tally', 'closed_at'])
          <> (to_jsonb(OLD) - ARRAY['status', 'outcome', 'tally', 'closed_at']) THEN
        RAISE EXCEPTION 'A poll is not edited after it opened.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION folkmoot_refuse_late_ballot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM governance_poll
               WHERE id IN (NEW.poll_id, OLD.poll_id) AND status <> 'open') THEN
        RAISE EXCEPTION 'A closed poll takes no ballots and loses none.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;

CREATE TRIGGER audit_event_is_final BEFORE UPDATE OR DELETE ON governance_auditevent
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse();
CREATE TRIGGER elector_is_final BEFORE UPDATE OR DELETE ON governance_elector
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse();
CREATE TRIGGER poll_is_frozen BEFORE UPDATE ON governance_poll
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_poll_edit();
CREATE TRIGGER poll_is_kept BEFORE DELETE ON governance_poll
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse();
CREATE TRIGGER ballot_is_in_time BEFORE INSERT OR UPDATE OR DELETE ON governance_ballot
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_late_ballot();
"""

BACKWARD = """
DROP TRIGGER ballot_is_in_time ON governance_ballot;
DROP TRIGGER poll_is_kept ON governance_poll;
DROP TRIGGER poll_is_frozen ON governance_poll;
DROP TRIGGER elector_is_final ON governance_elector;
DROP TRIGGER audit_event_is_final ON governance_auditevent;
DROP FUNCTION folkmoot_refuse_late_ballot();
DROP FUNCTION folkmoot_refuse_poll_edit();
DROP FUNCTION folkmoot_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("governance", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
