-- the second line behind a role without the right to: also the owner has to take a trigger away first
CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%: rows are only ever added', TG_TABLE_NAME;
END $$;
--> statement-breakpoint
CREATE TRIGGER audit_links_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_links FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows();
--> statement-breakpoint
CREATE TRIGGER audit_checkpoints_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows();
--> statement-breakpoint
-- rows from before there were chains stay as they are; every new one has its place in one
ALTER TABLE audit_events ADD CONSTRAINT audit_events_chained CHECK (writer IS NOT NULL AND epoch IS NOT NULL AND link IS NOT NULL AND position IS NOT NULL AND digest IS NOT NULL) NOT VALID;
