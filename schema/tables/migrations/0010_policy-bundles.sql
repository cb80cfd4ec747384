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
