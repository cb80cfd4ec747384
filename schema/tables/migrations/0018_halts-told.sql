-- gateways read what is halted anew when they hear this
CREATE FUNCTION notify_halts_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('quarterdeck_halts', '');
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER halts_changed AFTER INSERT OR UPDATE OR DELETE ON halts FOR EACH STATEMENT EXECUTE FUNCTION notify_halts_changed();
--> statement-breakpoint
-- what a call of a tool costs was known before it
UPDATE reservations SET settled_at = created_at WHERE kind = 'tool' AND settled_at IS NULL;
