CREATE TABLE "reconcile_budgets" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"target" text NOT NULL,
	"scope" text NOT NULL,
	"day" text NOT NULL,
	"charged_micro_usd" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "reconcile_budgets_org_project_target_scope_pk" PRIMARY KEY("org","project","target","scope")
);
