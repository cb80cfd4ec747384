CREATE TABLE "audit_removed" (
	"sequence" bigint PRIMARY KEY NOT NULL,
	"org" text NOT NULL,
	"project" text NOT NULL,
	"writer" text,
	"epoch" integer,
	"link" integer,
	"position" integer,
	"digest" "bytea",
	"removal" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "policy_revisions" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"revision" text NOT NULL,
	"policy_sets" jsonb NOT NULL,
	"is_good" boolean DEFAULT true NOT NULL,
	"used_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "policy_revisions_org_project_revision_pk" PRIMARY KEY("org","project","revision")
);
--> statement-breakpoint
CREATE TABLE "process_answers" (
	"order_id" text NOT NULL,
	"instance" text NOT NULL,
	"failure" text DEFAULT '' NOT NULL,
	"answered_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "process_answers_order_id_instance_pk" PRIMARY KEY("order_id","instance")
);
--> statement-breakpoint
CREATE TABLE "process_orders" (
	"id" text PRIMARY KEY NOT NULL,
	"order" jsonb NOT NULL,
	"given_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "process_reports" (
	"instance" text PRIMARY KEY NOT NULL,
	"report" jsonb NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"reported_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "rate_places" (
	"key" text NOT NULL,
	"gateway" text NOT NULL,
	"places" integer NOT NULL,
	"is_wanted" boolean DEFAULT false NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "rate_places_key_gateway_pk" PRIMARY KEY("key","gateway")
);
--> statement-breakpoint
CREATE TABLE "reconcile_pauses" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"target" text NOT NULL,
	"reason" text NOT NULL,
	"paused_by" text NOT NULL,
	"decision_id" text NOT NULL,
	"paused_at" timestamp with time zone DEFAULT now() NOT NULL,
	"until_at" timestamp with time zone,
	CONSTRAINT "reconcile_pauses_org_project_target_pk" PRIMARY KEY("org","project","target")
);
--> statement-breakpoint
CREATE TABLE "retention_progress" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"what" text NOT NULL,
	"removed_before" timestamp with time zone NOT NULL,
	"last_at" timestamp with time zone NOT NULL,
	"rows" bigint NOT NULL,
	CONSTRAINT "retention_progress_org_project_what_pk" PRIMARY KEY("org","project","what")
);
--> statement-breakpoint
ALTER TABLE "backend_grants" ADD COLUMN "renewal_claim" text;--> statement-breakpoint
ALTER TABLE "backend_grants" ADD COLUMN "renewal_until" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "channel_deliveries" ADD COLUMN "is_followed" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "contents" ADD COLUMN "used_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "decision_facts" ADD COLUMN "used_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "definitions" ADD COLUMN "quarantined" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "reconcile_fixes" ADD COLUMN "review" jsonb;--> statement-breakpoint
ALTER TABLE "reconcile_fixes" ADD COLUMN "seen_digest" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "reconcile_fixes" ADD COLUMN "ends_as" text;--> statement-breakpoint
CREATE INDEX "process_orders_given" ON "process_orders" USING btree ("given_at");--> statement-breakpoint
CREATE INDEX "rate_places_gateway" ON "rate_places" USING btree ("gateway");--> statement-breakpoint
CREATE INDEX "channel_deliveries_open" ON "channel_deliveries" USING btree ("org","project","subject") WHERE event = 'approval' and not is_followed;--> statement-breakpoint
CREATE INDEX "contents_used" ON "contents" USING btree ("org","project","used_at");--> statement-breakpoint
CREATE INDEX "decision_facts_used" ON "decision_facts" USING btree ("org","project","used_at");
--> statement-breakpoint
CREATE TRIGGER audit_removed_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_removed FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows();
--> statement-breakpoint
DROP TRIGGER audit_events_only_grow ON audit_events;
--> statement-breakpoint
CREATE TRIGGER audit_events_only_grow BEFORE UPDATE OR TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION audit_events_only_grow();
--> statement-breakpoint
-- a row goes only where what holds its place in the chain was put down before
CREATE FUNCTION audit_events_keep_digest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM audit_removed r WHERE r.sequence = OLD.sequence AND r.digest IS NOT DISTINCT FROM OLD.digest) THEN
    RAISE EXCEPTION 'audit_events: rows are only ever added';
  END IF;
  RETURN OLD;
END $$;
--> statement-breakpoint
CREATE TRIGGER audit_events_keep_digest BEFORE DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_events_keep_digest();
--> statement-breakpoint
-- The only way to take rows out of the audit, with the owner's rights, for a role that has none of them: old ones of one project, a few at a
-- time. Their digests stay. Two kinds of rows are never taken: those that record removals, and publications of policies, by which an old
-- one is not played back. The digest that it answers is of the removed rows' places and digests; whoever calls it puts that on record.
CREATE FUNCTION remove_audit_rows(of_org text, of_project text, older_than timestamptz, at_most integer, removal_id text)
RETURNS TABLE (rows integer, unchained integer, digest bytea) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  old bigint[];
BEGIN
  IF older_than > now() - interval '1 day' THEN
    RAISE EXCEPTION 'audit_events: no row younger than a day is removed';
  END IF;
  SELECT array_agg(e.sequence) INTO old FROM (
    SELECT sequence FROM audit_events
    WHERE org = of_org AND project = of_project AND at < older_than AND action <> 'removeByRetention'
      AND NOT (action = 'applyResource' AND coalesce(facts->>'change', '') = 'published')
    ORDER BY at LIMIT least(at_most, 5000)
  ) e;
  INSERT INTO audit_removed (sequence, org, project, writer, epoch, link, position, digest, removal)
  SELECT e.sequence, e.org, e.project, e.writer, e.epoch, e.link, e.position, e.digest, removal_id
  FROM audit_events e WHERE e.sequence = ANY (old);
  DELETE FROM audit_events e WHERE e.sequence = ANY (old);
  RETURN QUERY
  SELECT count(*)::integer, (count(*) FILTER (WHERE r.writer IS NULL))::integer,
    sha256(coalesce(string_agg(convert_to(format(E'%s %s %s %s %s\n', r.writer, r.epoch, r.link, r.position, encode(r.digest, 'hex')), 'UTF8'), ''
      ORDER BY r.writer COLLATE "C", r.epoch, r.link, r.position) FILTER (WHERE r.writer IS NOT NULL), ''))
  FROM audit_removed r WHERE r.sequence = ANY (old);
END $$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION remove_audit_rows(text, text, timestamptz, integer, text) FROM PUBLIC;
