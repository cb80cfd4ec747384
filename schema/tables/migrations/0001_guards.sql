-- audit rows are only ever added
CREATE FUNCTION audit_events_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit_events: rows are only ever added';
END $$;
--> statement-breakpoint
CREATE TRIGGER audit_events_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION audit_events_only_grow();
--> statement-breakpoint
-- the gateway reads declared resources and pinned tools anew when it hears this
CREATE FUNCTION notify_declared_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('quarterdeck_declared', TG_TABLE_NAME);
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER resources_changed AFTER INSERT OR UPDATE OF spec, generation OR DELETE ON resources FOR EACH STATEMENT EXECUTE FUNCTION notify_declared_changed();
--> statement-breakpoint
CREATE TRIGGER tool_definitions_changed AFTER INSERT OR UPDATE OR DELETE ON tool_definitions FOR EACH STATEMENT EXECUTE FUNCTION notify_declared_changed();
--> statement-breakpoint
CREATE INDEX agents_run ON agents (org, project, run_id);
--> statement-breakpoint
ALTER TABLE agents ADD CONSTRAINT agents_never_negative CHECK (tokens >= 0 AND steps >= 0 AND calls >= 0);
