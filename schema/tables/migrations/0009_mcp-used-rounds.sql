CREATE TABLE "mcp_used_rounds" (
	"id" text PRIMARY KEY NOT NULL,
	"operation_id" text NOT NULL,
	"answers_digest" text NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "mcp_used_rounds_expires" ON "mcp_used_rounds" USING btree ("expires_at");