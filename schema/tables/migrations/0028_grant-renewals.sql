ALTER TABLE "backend_grants" ADD COLUMN "renewal_claim" text;--> statement-breakpoint
ALTER TABLE "backend_grants" ADD COLUMN "renewal_until" timestamp with time zone;