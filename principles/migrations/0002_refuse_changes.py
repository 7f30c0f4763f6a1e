"""Triggers: a ratified version never changes, and a draft no longer once it left its author."""

from django.db import migrations

FORWARD = """
SET LOCAL lock_timeout = '5s';
CREATE TRIGGER version_is_final BEFORE UPDATE OR DELETE ON principles_version
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse();
CREATE TRIGGER principle_is_final BEFORE UPDATE OR DELETE ON principles_principle
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse();
CREATE FUNCTION folkmoot_refuse_draft_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'editing'
       AND (to_jsonb(NEW) - ARRAY['status', 'updated_at'])
           <> (to_jsonb(OLD) - ARRAY['status', 'updated_at']) THEN
        RAISE EXCEPTION 'A draft is not edited after it was proposed or withdrawn.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION folkmoot_refuse_late_draft_principle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM principles_draft
               WHERE id = coalesce(NEW.draft_id, OLD.draft_id) AND status <> 'editing') THEN
        RAISE EXCEPTION 'A draft is not edited after it was proposed or withdrawn.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER draft_is_frozen BEFORE UPDATE ON principles_draft
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_draft_edit();
CREATE TRIGGER draft_principle_is_in_time
    BEFORE INSERT OR UPDATE OR DELETE ON principles_draftprinciple
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_late_draft_principle();
"""

BACKWARD = """
DROP TRIGGER draft_principle_is_in_time ON principles_draftprinciple;
DROP TRIGGER draft_is_frozen ON principles_draft;
DROP FUNCTION folkmoot_refuse_late_draft_principle();
DROP FUNCTION folkmoot_refuse_draft_edit();
DROP TRIGGER principle_is_final ON principles_principle;
DROP TRIGGER version_is_final ON principles_version;
"""


class Migration(migrations.Migration):
    dependencies = [("principles", "0001_initial"), ("governance", "0002_refuse_changes")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
