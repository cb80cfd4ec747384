CREATE TABLE "agents" (
	"id" text PRIMARY KEY NOT NULL,
	"org" text NOT NULL,
	"project" text NOT NULL,
	"run_id" text NOT NULL,
	"stage" text NOT NULL,
	"role" text NOT NULL,
	"ordinal" integer NOT NULL,
	"state" text NOT NULL,
	"reason" text,
	"detail" text,
	"input_digest" text NOT NULL,
	"assigned_paths" text[] DEFAULT '{}' NOT NULL,
	"transcript_digest" text,
	"output_digest" text,
	"limits" jsonb NOT NULL,
	"steps" integer DEFAULT 0 NOT NULL,
	"calls" integer DEFAULT 0 NOT NULL,
	"refusals" integer DEFAULT 0 NOT NULL,
	"tokens" bigint DEFAULT 0 NOT NULL,
	"input_tokens" bigint DEFAULT 0 NOT NULL,
	"output_tokens" bigint DEFAULT 0 NOT NULL,
	"cost_micro_usd" bigint DEFAULT 0 NOT NULL,
	"deadline_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "audit_events" (
	"sequence" bigserial PRIMARY KEY NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"kind" text NOT NULL,
	"org" text NOT NULL,
	"project" text NOT NULL,
	"action" text NOT NULL,
	"decision" text NOT NULL,
	"decision_id" text NOT NULL,
	"policies" text[] DEFAULT '{}' NOT NULL,
	"person" text,
	"agent" text,
	"role" text,
	"fleet" text,
	"run" text,
	"toolset" text,
	"server" text,
	"tool" text,
	"model" text,
	"resource" text,
	"operation_id" text,
	"outcome" text NOT NULL,
	"error_code" text,
	"duration_ms" double precision,
	"input_tokens" bigint,
	"output_tokens" bigint,
	"cost_micro_usd" bigint,
	"facts" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"stamp" text
);
--> statement-breakpoint
CREATE TABLE "contents" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"digest" text NOT NULL,
	"sealed" "bytea" NOT NULL,
	"size_bytes" integer NOT NULL,
	"label" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "contents_org_project_digest_pk" PRIMARY KEY("org","project","digest")
);
--> statement-breakpoint
CREATE TABLE "operations" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"id" text NOT NULL,
	"principal" text NOT NULL,
	"target" text NOT NULL,
	"arguments_digest" text NOT NULL,
	"state" text NOT NULL,
	"gateway_instance" text NOT NULL,
	"outcome" "bytea",
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"settled_at" timestamp with time zone,
	CONSTRAINT "operations_org_project_id_pk" PRIMARY KEY("org","project","id")
);
--> statement-breakpoint
CREATE TABLE "orgs" (
	"org" text PRIMARY KEY NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "people" (
	"org" text NOT NULL,
	"id" text NOT NULL,
	"groups" text[] DEFAULT '{}' NOT NULL,
	"roles" text[] DEFAULT '{}' NOT NULL,
	"disabled" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "people_org_id_pk" PRIMARY KEY("org","id")
);
--> statement-breakpoint
CREATE TABLE "person_tokens" (
	"token_hash" text PRIMARY KEY NOT NULL,
	"org" text NOT NULL,
	"person_id" text NOT NULL,
	"stamp" text NOT NULL,
	"expires_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "reservations" (
	"agent_id" text NOT NULL,
	"operation_id" text NOT NULL,
	"kind" text NOT NULL,
	"tokens" bigint NOT NULL,
	"settled_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "reservations_agent_id_operation_id_pk" PRIMARY KEY("agent_id","operation_id")
);
--> statement-breakpoint
CREATE TABLE "resources" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"uid" uuid DEFAULT gen_random_uuid() NOT NULL,
	"generation" integer DEFAULT 1 NOT NULL,
	"labels" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"annotations" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"spec" jsonb NOT NULL,
	"status" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "resources_org_project_kind_name_pk" PRIMARY KEY("org","project","kind","name")
);
--> statement-breakpoint
CREATE TABLE "runs" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"id" text NOT NULL,
	"fleet" text NOT NULL,
	"snapshot" jsonb NOT NULL,
	"inputs_digest" text NOT NULL,
	"volumes" jsonb NOT NULL,
	"output_directory" text,
	"result" text,
	"quality" text NOT NULL,
	"started_by" text NOT NULL,
	"launch_decision_id" text NOT NULL,
	"state" text NOT NULL,
	"reason" text,
	"attempt" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	CONSTRAINT "runs_org_project_id_pk" PRIMARY KEY("org","project","id")
);
--> statement-breakpoint
CREATE TABLE "tool_definitions" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"server" text NOT NULL,
	"name" text NOT NULL,
	"definition" jsonb NOT NULL,
	"approved_hash" text NOT NULL,
	"current_hash" text NOT NULL,
	"read_only" boolean NOT NULL,
	"destructive" boolean NOT NULL,
	"idempotent" boolean NOT NULL,
	"open_world" boolean NOT NULL,
	"approved_generation" integer NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "tool_definitions_org_project_server_name_pk" PRIMARY KEY("org","project","server","name")
);
--> statement-breakpoint
CREATE INDEX "audit_events_run" ON "audit_events" USING btree ("org","project","run");--> statement-breakpoint
CREATE INDEX "audit_events_at" ON "audit_events" USING btree ("org","project","at");