CREATE TABLE "issuer_records" (
	"model" text NOT NULL,
	"id" text NOT NULL,
	"payload" jsonb NOT NULL,
	"grant_id" text,
	"account" text,
	"uid" text,
	"consumed_at" timestamp with time zone,
	"expires_at" timestamp with time zone,
	CONSTRAINT "issuer_records_model_id_pk" PRIMARY KEY("model","id")
);
--> statement-breakpoint
ALTER TABLE "people" ADD COLUMN "issuer" text;--> statement-breakpoint
ALTER TABLE "people" ADD COLUMN "subject" text;--> statement-breakpoint
ALTER TABLE "people" ADD COLUMN "email" text;--> statement-breakpoint
ALTER TABLE "people" ADD COLUMN "name" text;--> statement-breakpoint
ALTER TABLE "people" ADD COLUMN "last_login_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "issuer_records_grant" ON "issuer_records" USING btree ("grant_id");--> statement-breakpoint
CREATE INDEX "issuer_records_account" ON "issuer_records" USING btree ("account");--> statement-breakpoint
CREATE INDEX "issuer_records_uid" ON "issuer_records" USING btree ("uid");--> statement-breakpoint
CREATE INDEX "issuer_records_expiry" ON "issuer_records" USING btree ("expires_at");--> statement-breakpoint
CREATE UNIQUE INDEX "people_issuer_subject" ON "people" USING btree ("org","issuer","subject");