ALTER TABLE "reconcile_fixes" ADD COLUMN "seen_digest" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "reconcile_fixes" ADD COLUMN "ends_as" text;