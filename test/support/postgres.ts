import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { templateDatabase } from './template-database.ts';
import { testService } from './test-service.ts';

const onServer = async (url: string, statement: string): Promise<void> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
};

/**
 * Makes a database with the tables of this release and nothing in it: a clone of a template on the server that the run shares.
 * Call it once per test file, and `close` at its end, after every pool on it was closed.
 */
export const startTestDatabase = async (): Promise<{ url: string; close(): Promise<void> }> => {
  const serverUrl = await testService('postgres');
  const name = `test_${randomBytes(6).toString('hex')}`;
  await onServer(serverUrl, `create database ${name} template ${templateDatabase} strategy file_copy`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, close: () => onServer(serverUrl, `drop database if exists ${name} with (force)`) };
};
