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
ALTER TABLE "definitions" ADD COLUMN "quarantined" text DEFAULT '' NOT NULL;--> statement-breakpoint
CREATE INDEX "process_orders_given" ON "process_orders" USING btree ("given_at");