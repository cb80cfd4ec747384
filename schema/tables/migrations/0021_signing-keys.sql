CREATE TABLE "signing_keys" (
	"number" integer PRIMARY KEY NOT NULL,
	"kid" text NOT NULL,
	"sealed" "bytea",
	"made_at" timestamp with time zone DEFAULT now() NOT NULL,
	"signs_from" timestamp with time zone NOT NULL,
	"denied_at" timestamp with time zone,
	CONSTRAINT "signing_keys_kid_unique" UNIQUE("kid")
);
