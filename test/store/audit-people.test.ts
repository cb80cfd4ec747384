import { expect, test } from 'vitest';
import { defaultTenancy } from '../../schema/ids.ts';
import { queryAudit } from '../../store/audit.ts';
import { createAuditLog } from '../../store/audit-log.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const event = (person: string, tool: string) =>
  ({
    ...defaultTenancy,
    kind: 'call',
    action: 'callTool',
    decision: 'allow',
    decisionId: 'dec_1',
    outcome: 'ok',
    person,
    tool,
  }) as const;

test('two processes that meet a person at the same moment give one pseudonym', async () => {
  const logs = Array.from({ length: 4 }, () => openAuditLog(database()));
  const made = await Promise.all(logs.map(({ people }) => people.pseudonymOf({ org: 'default', id: 'kim' })));
  expect(new Set(made).size).toBe(1);
  expect(await logs[0]?.people.pseudonymOf({ org: 'other', id: 'kim' })).not.toBe(made[0]);
});

test('rows are found and shown by the person, and after the erasure by nobody; who comes again is somebody else', async () => {
  const log = openAuditLog(database());
  const query = (query: object) => queryAudit(database(), defaultTenancy, { limit: 100, ...query }, log.people);
  await log.append(database(), [event('ada', 'first'), event('bob', 'other')]);
  expect((await query({ person: 'ada' })).map(({ tool, person }) => [tool, person])).toEqual([['first', 'ada']]);
  const pseudonym = await log.people.erase(database(), { org: 'default', id: 'ada' });
  expect(await query({ person: 'ada' })).toEqual([]);
  expect((await query({})).find(({ tool }) => tool === 'first')?.person).toBe(pseudonym);
  await log.append(database(), [event('ada', 'again')]);
  expect((await query({ person: 'ada' })).map(({ tool }) => tool)).toEqual(['again']);
  expect(await log.people.erase(database(), { org: 'default', id: 'nobody' })).toBeUndefined();
});

test('whoever reads the rows without the key sees pseudonyms, and one with another key cannot open who they are', async () => {
  const log = openAuditLog(database());
  await log.append(database(), [event('eve', 'seen')]);
  const [row] = (await queryAudit(database(), defaultTenancy, { limit: 100 })).filter(({ tool }) => tool === 'seen');
  expect(row?.person).toMatch(/^psn_[\w-]{22}$/);
  const stranger = createAuditLog({ database: database(), process: 'test', key: Buffer.alloc(32, 1).toString('base64') });
  await expect(stranger.people.resolve('default', [row?.person ?? ''])).rejects.toMatchObject({ code: 'secret_unavailable' });
});
