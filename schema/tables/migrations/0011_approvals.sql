CREATE TABLE "approval_decisions" (
	"approval_id" text NOT NULL,
	"person" text NOT NULL,
	"verdict" text NOT NULL,
	"policies" text[] NOT NULL,
	"stamp" text NOT NULL,
	"comment" text,
	"decision_id" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "approval_decisions_approval_id_person_pk" PRIMARY KEY("approval_id","person")
);
--> statement-breakpoint
CREATE TABLE "approvals" (
	"id" text PRIMARY KEY NOT NULL,
	"org" text NOT NULL,
	"project" text NOT NULL,
	"state" text DEFAULT 'pending' NOT NULL,
	"principal" text NOT NULL,
	"person" text NOT NULL,
	"agent" text,
	"role" text,
	"fleet" text,
	"run" text,
	"toolset" text NOT NULL,
	"server" text NOT NULL,
	"tool" text NOT NULL,
	"definition_hash" text NOT NULL,
	"arguments_digest" text NOT NULL,
	"digest" text NOT NULL,
	"operation_id" text NOT NULL,
	"call" "bytea" NOT NULL,
	"rules" jsonb NOT NULL,
	"reason" text NOT NULL,
	"decision_id" text NOT NULL,
	"consumed_by" text,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"decided_at" timestamp with time zone,
	"consumed_at" timestamp with time zone,
	"told_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "agents" ADD COLUMN "approval_id" text;--> statement-breakpoint
ALTER TABLE "agents" ADD COLUMN "waiting_since" timestamp with time zone;--> statement-breakpoint
CREATE UNIQUE INDEX "approvals_named_call" ON "approvals" USING btree ("org","project","principal","operation_id","digest") WHERE operation_id <> '';--> statement-breakpoint
CREATE UNIQUE INDEX "approvals_open_call" ON "approvals" USING btree ("org","project","principal","digest") WHERE operation_id = '' and state in ('pending', 'approved');--> statement-breakpoint
CREATE INDEX "approvals_place" ON "approvals" USING btree ("org","project","requested_at");--> statement-breakpoint
CREATE INDEX "approvals_open" ON "approvals" USING btree ("expires_at") WHERE state in ('pending', 'approved');--> statement-breakpoint
CREATE INDEX "approvals_untold" ON "approvals" USING btree ("decided_at") WHERE told_at is null and agent is not null and decided_at is not null;