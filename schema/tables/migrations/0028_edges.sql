CREATE TABLE "rate_places" (
	"key" text NOT NULL,
	"gateway" text NOT NULL,
	"places" integer NOT NULL,
	"is_wanted" boolean DEFAULT false NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "rate_places_key_gateway_pk" PRIMARY KEY("key","gateway")
);
--> statement-breakpoint
ALTER TABLE "channel_deliveries" ADD COLUMN "is_followed" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "rate_places_gateway" ON "rate_places" USING btree ("gateway");--> statement-breakpoint
CREATE INDEX "channel_deliveries_open" ON "channel_deliveries" USING btree ("org","project","subject") WHERE event = 'approval' and not is_followed;