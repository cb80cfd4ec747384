ALTER TABLE "reservations" ADD COLUMN "call_digest" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "reservations" ADD COLUMN "tries" integer DEFAULT 1 NOT NULL;