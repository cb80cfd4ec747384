CREATE TABLE "audit_checkpoints" (
	"number" bigint PRIMARY KEY NOT NULL,
	"writer" text NOT NULL,
	"epoch" integer NOT NULL,
	"link" integer NOT NULL,
	"statement" text NOT NULL,
	"signature" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_links" (
	"writer" text NOT NULL,
	"epoch" integer NOT NULL,
	"number" integer NOT NULL,
	"rows" integer NOT NULL,
	"previous" "bytea" NOT NULL,
	"hash" "bytea" NOT NULL,
	"closes" boolean DEFAULT false NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "audit_links_writer_epoch_number_pk" PRIMARY KEY("writer","epoch","number")
);
--> statement-breakpoint
CREATE TABLE "audit_people" (
	"org" text NOT NULL,
	"digest" text NOT NULL,
	"pseudonym" text NOT NULL,
	"sealed" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "audit_people_org_digest_pk" PRIMARY KEY("org","digest"),
	CONSTRAINT "audit_people_pseudonym_unique" UNIQUE("pseudonym")
);
--> statement-breakpoint
ALTER TABLE "audit_events" ADD COLUMN "arguments_digest" text;--> statement-breakpoint
ALTER TABLE "audit_events" ADD COLUMN "policy_version" text;--> statement-breakpoint
ALTER TABLE "audit_events" ADD COLUMN "trace_id" text;--> statement-breakpoint
ALTER TABLE "audit_events" ADD COLUMN "writer" text;--> statement-breakpoint
ALTER TABLE "audit_events" ADD COLUMN "epoch" integer;--> statement-breakpoint
ALTER TABLE "audit_events" ADD COLUMN "link" integer;--> statement-breakpoint
ALTER TABLE "audit_events" ADD COLUMN "position" integer;--> statement-breakpoint
ALTER TABLE "audit_events" ADD COLUMN "digest" "bytea";--> statement-breakpoint
CREATE INDEX "audit_checkpoints_chain" ON "audit_checkpoints" USING btree ("writer","epoch","link");--> statement-breakpoint
CREATE INDEX "audit_links_at" ON "audit_links" USING brin ("at");