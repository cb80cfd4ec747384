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
ALTER TABLE "reconcile_fixes" ADD COLUMN "review" jsonb;