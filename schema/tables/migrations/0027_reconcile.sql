CREATE TABLE "channel_deliveries" (
	"id" text PRIMARY KEY NOT NULL,
	"org" text NOT NULL,
	"project" text NOT NULL,
	"channel" text NOT NULL,
	"event" text NOT NULL,
	"subject" text NOT NULL,
	"text" text DEFAULT '' NOT NULL,
	"state" text DEFAULT 'due' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"last_error" text DEFAULT '' NOT NULL,
	"message" jsonb,
	"due_at" timestamp with time zone DEFAULT now() NOT NULL,
	"taken_until" timestamp with time zone,
	"made_at" timestamp with time zone DEFAULT now() NOT NULL,
	"sent_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "reconcile_budgets" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"target" text NOT NULL,
	"scope" text NOT NULL,
	"day" text NOT NULL,
	"charged_micro_usd" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "reconcile_budgets_org_project_target_scope_pk" PRIMARY KEY("org","project","target","scope")
);
--> statement-breakpoint
CREATE TABLE "reconcile_fixes" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"target" text NOT NULL,
	"id" text PRIMARY KEY NOT NULL,
	"fingerprint" text NOT NULL,
	"fault_kind" text NOT NULL,
	"state" text NOT NULL,
	"plan" jsonb,
	"plan_digest" text DEFAULT '' NOT NULL,
	"normal_digest" text DEFAULT '' NOT NULL,
	"faults" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"evidence_digest" text DEFAULT '' NOT NULL,
	"approval_id" text,
	"decision_id" text,
	"policy_version" text,
	"cost_micro_usd" bigint DEFAULT 0 NOT NULL,
	"model_calls" integer DEFAULT 0 NOT NULL,
	"message" text DEFAULT '' NOT NULL,
	"began_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "reconcile_holds" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"target" text NOT NULL,
	"id" text NOT NULL,
	"object" text DEFAULT '' NOT NULL,
	"path" text DEFAULT '' NOT NULL,
	"reason" text NOT NULL,
	"held_by" text NOT NULL,
	"decision_id" text NOT NULL,
	"held_at" timestamp with time zone DEFAULT now() NOT NULL,
	"until_at" timestamp with time zone NOT NULL,
	CONSTRAINT "reconcile_holds_org_project_target_id_pk" PRIMARY KEY("org","project","target","id")
);
--> statement-breakpoint
CREATE TABLE "reconcile_steps" (
	"fix_id" text NOT NULL,
	"step" integer NOT NULL,
	"direction" text NOT NULL,
	"operation_id" text NOT NULL,
	"fence" bigint NOT NULL,
	"outcome" jsonb,
	"before_hash" text NOT NULL,
	"after_hash" text DEFAULT '' NOT NULL,
	"began_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	CONSTRAINT "reconcile_steps_fix_id_direction_step_pk" PRIMARY KEY("fix_id","direction","step")
);
--> statement-breakpoint
CREATE TABLE "reconcile_targets" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"target" text NOT NULL,
	"generation" integer NOT NULL,
	"phase" text NOT NULL,
	"message" text DEFAULT '' NOT NULL,
	"drifts" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"conflicts" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"fence" bigint DEFAULT 0 NOT NULL,
	"frozen" boolean DEFAULT false NOT NULL,
	"due_at" timestamp with time zone,
	"changed_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "reconcile_targets_org_project_target_pk" PRIMARY KEY("org","project","target")
);
--> statement-breakpoint
CREATE UNIQUE INDEX "channel_deliveries_once" ON "channel_deliveries" USING btree ("org","project","channel","event","subject");--> statement-breakpoint
CREATE INDEX "channel_deliveries_due" ON "channel_deliveries" USING btree ("state","due_at");--> statement-breakpoint
CREATE INDEX "channel_deliveries_subject" ON "channel_deliveries" USING btree ("org","project","subject");--> statement-breakpoint
CREATE UNIQUE INDEX "reconcile_fixes_open" ON "reconcile_fixes" USING btree ("org","project","target","fingerprint") WHERE ended_at is null;--> statement-breakpoint
CREATE INDEX "reconcile_fixes_history" ON "reconcile_fixes" USING btree ("org","project","target","began_at");--> statement-breakpoint
CREATE INDEX "reconcile_fixes_learning" ON "reconcile_fixes" USING btree ("org","project","fault_kind","normal_digest");--> statement-breakpoint
CREATE INDEX "reconcile_targets_due" ON "reconcile_targets" USING btree ("due_at");