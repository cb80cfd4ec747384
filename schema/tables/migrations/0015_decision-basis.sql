CREATE TABLE "decision_facts" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"digest" text NOT NULL,
	"value" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "decision_facts_org_project_digest_pk" PRIMARY KEY("org","project","digest")
);
--> statement-breakpoint
CREATE TABLE "policy_bundles" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"version" integer NOT NULL,
	"content" text NOT NULL,
	"signature" text NOT NULL,
	"published_by" text NOT NULL,
	"published_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "policy_bundles_org_project_version_pk" PRIMARY KEY("org","project","version")
);
--> statement-breakpoint
ALTER TABLE "audit_events" ADD COLUMN "basis" text;--> statement-breakpoint
CREATE INDEX "audit_events_decision" ON "audit_events" USING btree ("org","project","decision_id");