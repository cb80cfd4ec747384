-- whoever believed a token of a run or an agent stops at once: the gateway hears this, whoever ended the run, and however
CREATE FUNCTION notify_identity_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_TABLE_NAME = 'runs' THEN
    PERFORM pg_notify('quarterdeck_identity_ended', json_build_object('org', NEW.org, 'project', NEW.project, 'run', NEW.id)::text);
  ELSE
    PERFORM pg_notify('quarterdeck_identity_ended', json_build_object('org', NEW.org, 'project', NEW.project, 'run', NEW.run_id, 'agent', NEW.id)::text);
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_identity_ended AFTER UPDATE OF state, revoked_at ON runs FOR EACH ROW
WHEN ((OLD.state IN ('starting', 'running') AND NEW.state NOT IN ('starting', 'running')) OR (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL))
EXECUTE FUNCTION notify_identity_ended();
--> statement-breakpoint
CREATE TRIGGER agents_identity_ended AFTER UPDATE OF state ON agents FOR EACH ROW
WHEN (OLD.state = 'running' AND NEW.state <> 'running')
EXECUTE FUNCTION notify_identity_ended();
