CREATE TABLE "channel_deliveries" (
	"id" text PRIMARY KEY NOT NULL,
	"org" text NOT NULL,
	"project" text NOT NULL,
	"channel" text NOT NULL,
	"event" text NOT NULL,
	"subject" text NOT NULL,
	"text" text DEFAULT '' NOT NULL,
	"state" text DEFAULT 'due' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"last_error" text DEFAULT '' NOT NULL,
	"message" jsonb,
	"due_at" timestamp with time zone DEFAULT now() NOT NULL,
	"taken_until" timestamp with time zone,
	"made_at" timestamp with time zone DEFAULT now() NOT NULL,
	"sent_at" timestamp with time zone
);
--> statement-breakpoint
CREATE UNIQUE INDEX "channel_deliveries_once" ON "channel_deliveries" USING btree ("org","project","channel","event","subject");--> statement-breakpoint
CREATE INDEX "channel_deliveries_due" ON "channel_deliveries" USING btree ("state","due_at");--> statement-breakpoint
CREATE INDEX "channel_deliveries_subject" ON "channel_deliveries" USING btree ("org","project","subject");