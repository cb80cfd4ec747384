CREATE TABLE "mcp_answers" (
	"id" text PRIMARY KEY NOT NULL,
	"answer" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "mcp_sessions" (
	"id" text PRIMARY KEY NOT NULL,
	"org" text NOT NULL,
	"principal" text NOT NULL,
	"endpoint" text NOT NULL,
	"client" jsonb NOT NULL,
	"log_level" text,
	"subscriptions" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"used_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "mcp_stream_events" (
	"stream" text NOT NULL,
	"sequence" bigint NOT NULL,
	"message" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "mcp_stream_events_stream_sequence_pk" PRIMARY KEY("stream","sequence")
);
--> statement-breakpoint
CREATE TABLE "mcp_streams" (
	"id" text PRIMARY KEY NOT NULL,
	"owner" text NOT NULL,
	"gateway_instance" text NOT NULL,
	"is_ended" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "mcp_tasks" (
	"id" text PRIMARY KEY NOT NULL,
	"org" text NOT NULL,
	"project" text NOT NULL,
	"principal" text NOT NULL,
	"endpoint" text NOT NULL,
	"operation_id" text,
	"gateway_instance" text NOT NULL,
	"status" text NOT NULL,
	"status_message" text,
	"ttl_ms" integer NOT NULL,
	"content" "bytea",
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "mcp_upstream_sessions" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"server" text NOT NULL,
	"session_key" text NOT NULL,
	"upstream_session" "bytea" NOT NULL,
	"protocol_version" text NOT NULL,
	"used_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "mcp_upstream_sessions_org_project_server_session_key_pk" PRIMARY KEY("org","project","server","session_key")
);
--> statement-breakpoint
CREATE INDEX "mcp_sessions_used" ON "mcp_sessions" USING btree ("used_at");--> statement-breakpoint
CREATE INDEX "mcp_streams_owner" ON "mcp_streams" USING btree ("owner");--> statement-breakpoint
CREATE INDEX "mcp_streams_created" ON "mcp_streams" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "mcp_tasks_expires" ON "mcp_tasks" USING btree ("expires_at");