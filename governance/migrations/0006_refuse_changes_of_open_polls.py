"""Triggers: what a poll froze stays frozen, whoever asks the database."""

from django.db import migrations

FORWARD = """
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION folkmoot_refuse_poll_edit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moving CONSTANT text[] := ARRAY['status', 'outcome', 'tally', 'closed_at', 'standing',
                                    'reason', 'closes_at', 'extended_at'];
BEGIN
    IF OLD.status IN ('draft', 'deliberation') THEN
        RETURN NEW;
    END IF;
    IF OLD.status <> 'open' OR to_jsonb(NEW) - moving <> to_jsonb(OLD) - moving THEN
        RAISE EXCEPTION 'A poll is not edited after it opened.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.closes_at <> OLD.closes_at
       AND (OLD.extended_at IS NOT NULL OR NEW.extended_at IS NULL
            OR NEW.closes_at < OLD.closes_at) THEN
        RAISE EXCEPTION 'The deadline of an open poll moves once at most, and only later.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION folkmoot_refuse_late_elector() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM fresh JOIN governance_poll poll ON poll.id = fresh.poll_id
               WHERE poll.status NOT IN ('draft', 'deliberation')) THEN
        RAISE EXCEPTION 'The electorate of a poll is fixed when it opens.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION folkmoot_refuse_act_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.batch IS NOT NULL
       OR to_jsonb(NEW) - 'batch' <> to_jsonb(OLD) - 'batch' THEN
        RAISE EXCEPTION 'What was done with a ballot stays in the record.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION folkmoot_refuse_checkpoint_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE'
       OR to_jsonb(NEW) - 'posted_at' <> to_jsonb(OLD) - 'posted_at' THEN
        RAISE EXCEPTION 'A checkpoint is never changed or deleted.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER poll_is_frozen BEFORE UPDATE ON governance_poll
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_poll_edit();
CREATE TRIGGER ballot_is_in_time BEFORE INSERT OR UPDATE OR DELETE ON governance_ballot
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_late_ballot();
CREATE TRIGGER elector_is_in_time AFTER INSERT ON governance_elector
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION folkmoot_refuse_late_elector();
CREATE TRIGGER urn_is_in_time BEFORE INSERT ON governance_urnballot
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_late_ballot();
CREATE TRIGGER urn_is_final BEFORE UPDATE OR DELETE ON governance_urnballot
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse();
CREATE TRIGGER act_is_in_time BEFORE INSERT ON governance_ballotact
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_late_ballot();
CREATE TRIGGER act_is_final BEFORE UPDATE OR DELETE ON governance_ballotact
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_act_edit();
CREATE TRIGGER checkpoint_is_final BEFORE UPDATE OR DELETE ON governance_checkpoint
    FOR EACH ROW EXECUTE FUNCTION folkmoot_refuse_checkpoint_edit();
"""

BACKWARD = """
DROP TRIGGER checkpoint_is_final ON governance_checkpoint;
DROP TRIGGER act_is_final ON governance_ballotact;
DROP TRIGGER act_is_in_time ON governance_ballotact;
DROP TRIGGER urn_is_final ON governance_urnballot;
DROP TRIGGER urn_is_in_time ON governance_urnballot;
DROP TRIGGER elector_is_in_time ON governance_elector;
DROP TRIGGER ballot_is_in_time ON governance_ballot;
DROP TRIGGER poll_is_frozen ON governance_poll;
DROP FUNCTION folkmoot_refuse_checkpoint_edit();
DROP FUNCTION folkmoot_refuse_act_edit();
DROP FUNCTION folkmoot_refuse_late_elector();

CREATE OR REPLACE FUNCTION folkmoot_refuse_poll_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'open'
       OR (to_jsonb(NEW) - ARRAY['status', 'outcome', 'tally', 'closed_at'])
          <> (to_jsonb(OLD) - ARRAY['status', 'outcome', 'tally', 'closed_at']) THEN
        RAISE EXCEPTION 'A poll is not edited after it opened.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""



class Migration(migrations.Migration):
    dependencies = [("governance", "0005_carry_ballots_over")]
    operations = [
        migrations.RemoveField("ballot", "choice"),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
