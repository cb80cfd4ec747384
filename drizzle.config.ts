import { defineConfig } from 'drizzle-kit';

/** `npx drizzle-kit generate` writes the SQL migrations from the tables. */
export default defineConfig({ dialect: 'postgresql', schema: './schema/tables/tables.ts', out: './schema/tables/migrations' });
