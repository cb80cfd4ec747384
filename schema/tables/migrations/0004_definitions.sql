CREATE TABLE "definition_sights" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"server" text NOT NULL,
	"kind" text NOT NULL,
	"generation" integer NOT NULL,
	CONSTRAINT "definition_sights_org_project_server_kind_pk" PRIMARY KEY("org","project","server","kind")
);
--> statement-breakpoint
CREATE TABLE "definitions" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"server" text NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"definition" json NOT NULL,
	"current_definition" json,
	"approved_hash" text NOT NULL,
	"current_hash" text NOT NULL,
	"read_only" boolean NOT NULL,
	"destructive" boolean NOT NULL,
	"idempotent" boolean NOT NULL,
	"open_world" boolean NOT NULL,
	"issues" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"warnings" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"came_later" boolean DEFAULT false NOT NULL,
	"approved_generation" integer NOT NULL,
	"approved_by" text,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "definitions_org_project_server_kind_name_pk" PRIMARY KEY("org","project","server","kind","name")
);

--> statement-breakpoint
INSERT INTO definitions (org, project, server, kind, name, definition, approved_hash, current_hash, read_only, destructive, idempotent, open_world, approved_generation, updated_at)
SELECT org, project, server, 'tool', name, definition::json, approved_hash, current_hash, read_only, destructive, idempotent, open_world, approved_generation, updated_at FROM tool_definitions;
--> statement-breakpoint
INSERT INTO definition_sights (org, project, server, kind, generation)
SELECT org, project, server, 'tool', max(approved_generation) FROM tool_definitions GROUP BY org, project, server;
--> statement-breakpoint
CREATE TRIGGER definitions_changed AFTER INSERT OR UPDATE OR DELETE ON definitions FOR EACH STATEMENT EXECUTE FUNCTION notify_declared_changed();
