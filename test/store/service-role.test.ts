import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { createOperationStore } from '../../store/operations.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { ensureServiceRole } from '../../store/service-role.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database, url } = useTestDatabase();
const password = randomBytes(12).toString('hex');
const event = {
  org: 'default',
  project: 'default',
  kind: 'intent',
  action: 'callTool',
  decision: 'allow',
  decisionId: 'dec_1',
  outcome: 'pending',
} as const;

/** Runs as somebody who may log in, and drops that role, which outlives the database of a test. */
const withRole = async (work: (serviceUrl: string) => Promise<void>): Promise<void> => {
  const serviceUrl = (await ensureServiceRole(url(), password)) as string;
  try {
    await work(serviceUrl);
  } finally {
    const role = decodeURIComponent(new URL(serviceUrl).username);
    await database().$client.query(`drop owned by "${role}"`);
    await database().$client.query(`drop role "${role}"`);
  }
};

test('processes write the audit by a role that can neither change nor take away what is written, nor the guard in front of it', async () => {
  await withRole(async (serviceUrl) => {
    // a second start finds the role
    expect(await ensureServiceRole(url(), password)).toBe(serviceUrl);
    const service = openDatabase({ url: serviceUrl, name: 'test' });
    const log = openAuditLog(service);
    const operations = createOperationStore(service, log, deriveContentKeys(Buffer.alloc(32, 1).toString('base64'), 'operations'), 'one');
    const identity = { org: 'default', project: 'default', id: 'op_1', principal: 'a', target: 't', argumentsDigest: 'd' };
    expect(await operations.begin(identity, event)).toEqual({ kind: 'started' });
    await operations.settle(identity, {}, { ...event, kind: 'outcome', outcome: 'ok' });
    await log.append(service, [event]);
    for (const table of ['audit_events', 'audit_links', 'audit_checkpoints'])
      for (const statement of [
        `update ${table} set writer = 'x'`,
        `delete from ${table}`,
        `truncate ${table}`,
        `alter table ${table} disable trigger all`,
        `drop table ${table}`,
        `create trigger quiet before insert on ${table} for each row execute function suppress_redundant_updates_trigger()`,
      ])
        await expect(service.$client.query(statement), statement).rejects.toThrow(/permission denied|must be owner/);
    await expect(service.$client.query('set session_replication_role = replica')).rejects.toThrow('permission denied');
    await closeDatabase(service);
  });
});

test('where the owner may make no roles, none is made and that is said', async () => {
  const owner = `owner_${randomBytes(6).toString('hex')}`;
  await database().$client.query(`create role ${owner} login password 'x' nocreaterole`);
  const ownerUrl = new URL(url());
  ownerUrl.username = owner;
  ownerUrl.password = 'x';
  expect(await ensureServiceRole(ownerUrl.href, password)).toBeUndefined();
  await database().$client.query(`drop role ${owner}`);
});
