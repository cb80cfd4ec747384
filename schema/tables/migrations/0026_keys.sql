CREATE TABLE "seal_keys" (
	"name" text NOT NULL,
	"id" text NOT NULL,
	"wrapped" "bytea",
	"asked_at" timestamp with time zone DEFAULT now() NOT NULL,
	"seals_from" timestamp with time zone,
	"retired_at" timestamp with time zone,
	CONSTRAINT "seal_keys_name_id_pk" PRIMARY KEY("name","id")
);
--> statement-breakpoint
CREATE UNIQUE INDEX "seal_keys_asked" ON "seal_keys" USING btree ("name") WHERE seals_from is null and retired_at is null;