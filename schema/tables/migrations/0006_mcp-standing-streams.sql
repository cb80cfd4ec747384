ALTER TABLE "mcp_sessions" ADD COLUMN "transport" text DEFAULT 'streamable' NOT NULL;--> statement-breakpoint
ALTER TABLE "mcp_streams" ADD COLUMN "kind" text DEFAULT 'request' NOT NULL;--> statement-breakpoint
ALTER TABLE "mcp_streams" ADD COLUMN "request_ids" json DEFAULT '[]'::json NOT NULL;--> statement-breakpoint
ALTER TABLE "mcp_streams" ADD COLUMN "last_sequence" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "mcp_streams" ADD COLUMN "ended_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "mcp_streams" ADD COLUMN "attached_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "mcp_streams" ADD COLUMN "detached_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "mcp_sessions_principal" ON "mcp_sessions" USING btree ("principal");--> statement-breakpoint
ALTER TABLE "mcp_streams" DROP COLUMN "is_ended";--> statement-breakpoint
ALTER TABLE "mcp_sessions" ALTER COLUMN "client" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "mcp_sessions" ALTER COLUMN "subscriptions" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "mcp_sessions" ALTER COLUMN "subscriptions" SET DEFAULT '[]'::json;