CREATE TABLE "backend_clients" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"server" text NOT NULL,
	"issuer" text NOT NULL,
	"sealed" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "backend_clients_org_project_server_issuer_pk" PRIMARY KEY("org","project","server","issuer")
);
--> statement-breakpoint
CREATE TABLE "backend_grants" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"server" text NOT NULL,
	"person_id" text NOT NULL,
	"server_uid" text NOT NULL,
	"url" text NOT NULL,
	"issuer" text NOT NULL,
	"resource" text NOT NULL,
	"scopes" text[] NOT NULL,
	"sealed" "bytea" NOT NULL,
	"expires_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"refreshed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"revoked_at" timestamp with time zone,
	CONSTRAINT "backend_grants_org_project_server_person_id_pk" PRIMARY KEY("org","project","server","person_id")
);
--> statement-breakpoint
CREATE TABLE "identity_assertions" (
	"org" text NOT NULL,
	"project" text NOT NULL,
	"provider" text NOT NULL,
	"person_id" text NOT NULL,
	"issuer" text NOT NULL,
	"sealed" "bytea" NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "identity_assertions_org_project_provider_person_id_pk" PRIMARY KEY("org","project","provider","person_id")
);
--> statement-breakpoint
CREATE INDEX "backend_grants_expiry" ON "backend_grants" USING btree ("expires_at");