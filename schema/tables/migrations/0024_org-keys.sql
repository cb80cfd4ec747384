CREATE TABLE "org_keys" (
	"org" text NOT NULL,
	"id" text NOT NULL,
	"wrapped" "bytea",
	"state" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"retired_at" timestamp with time zone,
	"destroyed_at" timestamp with time zone,
	CONSTRAINT "org_keys_org_id_pk" PRIMARY KEY("org","id")
);
--> statement-breakpoint
ALTER TABLE "contents" ADD COLUMN "key_id" text;--> statement-breakpoint
CREATE UNIQUE INDEX "org_keys_active" ON "org_keys" USING btree ("org") WHERE state = 'active';--> statement-breakpoint
CREATE INDEX "contents_key" ON "contents" USING btree ("key_id","org");