CREATE SEQUENCE "public"."reconcile_fences" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1000000000 CACHE 1;--> statement-breakpoint
CREATE TABLE "rate_holds" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"calls_per_minute" integer NOT NULL,
	"operation_id" text NOT NULL,
	"held_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "rate_holds_org_project_kind_name_pk" PRIMARY KEY("org","project","kind","name")
);
