CREATE TABLE "halts" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"scope" text NOT NULL,
	"name" text NOT NULL,
	"reason" text NOT NULL,
	"halted_by" text NOT NULL,
	"decision_id" text NOT NULL,
	"halted_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "halts_org_project_scope_name_pk" PRIMARY KEY("org","project","scope","name")
);
--> statement-breakpoint
CREATE TABLE "rate_windows" (
	"key" text PRIMARY KEY NOT NULL,
	"started_at" timestamp with time zone NOT NULL,
	"taken" integer NOT NULL,
	"granted" integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX "reservations_open" ON "reservations" USING btree ("agent_id") WHERE settled_at is null;