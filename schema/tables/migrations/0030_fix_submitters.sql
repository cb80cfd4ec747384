ALTER TABLE "reconcile_fixes" ADD COLUMN "writers" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "resources" ADD COLUMN "submitters" text[] DEFAULT '{}' NOT NULL;