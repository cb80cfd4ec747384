CREATE TABLE "flow_labels" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"subject" text NOT NULL,
	"secrecy" integer NOT NULL,
	"tainted" boolean NOT NULL,
	"sources" jsonb NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "flow_labels_org_project_subject_pk" PRIMARY KEY("org","project","subject")
);
