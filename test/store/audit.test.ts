import pino from 'pino';
import { expect, test } from 'vitest';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { PlatformError } from '../../schema/errors.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { queryAudit } from '../../store/audit.ts';
import { appendLink, linkValues } from '../../store/audit-chain.ts';
import { createAuditWriter } from '../../store/audit-writer.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const logger = pino({ level: 'silent' });
const append = (events: NewAuditEvent[]) => openAuditLog(database()).append(database(), events);
const event = (more: Partial<NewAuditEvent> = {}): NewAuditEvent => ({
  ...defaultTenancy,
  kind: 'call',
  action: 'callTool',
  decision: 'allow',
  decisionId: 'dec_1',
  outcome: 'ok',
  ...more,
});
const toolsOf = async (query: object) => (await queryAudit(database(), defaultTenancy, { limit: 100, ...query })).map(({ tool }) => tool);

test('reads the newest rows in their order, and goes on from a row', async () => {
  await append(['a', 'b', 'c', 'd'].map((tool) => event({ tool, run: 'run_order' })));
  expect(await toolsOf({ run: 'run_order', limit: 2 })).toEqual(['c', 'd']);
  const [first] = await queryAudit(database(), defaultTenancy, { run: 'run_order', limit: 4 });
  expect(await toolsOf({ run: 'run_order', after: first?.sequence, limit: 2 })).toEqual(['b', 'c']);
});

test('filters by what is asked, within one project', async () => {
  await append([
    event({ run: 'run_f', tool: 'kept', decision: 'deny', kind: 'refusal', outcome: 'refused' }),
    event({ run: 'run_f', tool: 'allowed' }),
    event({ run: 'run_f', tool: 'elsewhere', project: 'other', decision: 'deny' }),
  ]);
  expect(await toolsOf({ run: 'run_f', decision: 'deny' })).toEqual(['kept']);
  expect(await toolsOf({ run: 'run_f', since: new Date(Date.now() + 60_000).toISOString() })).toEqual([]);
});

test('finds what an agent did in one of its steps, the model call and the tools that it asked for, and no other step', async () => {
  const agent = 'default/default/survey/run_s/read/reader/0';
  const steps = ['step-1/model', 'step-1/call-0', 'step-2/model', 'step-12/model', 'attempt-2/step-2/call-1'];
  await append(steps.map((step) => event({ run: 'run_s', agent, tool: step, operationId: `${agent}/${step}` })));
  expect(await toolsOf({ run: 'run_s', step: 1 })).toEqual(['step-1/model', 'step-1/call-0']);
  expect(await toolsOf({ run: 'run_s', step: 2 })).toEqual(['step-2/model', 'attempt-2/step-2/call-1']);
  expect(await toolsOf({ run: 'run_other', step: 1 })).toEqual([]);
});

test('lets no row be changed or taken away', async () => {
  await append([event({ tool: 'fixed' })]);
  for (const statement of ["update audit_events set tool = 'x'", 'delete from audit_events', 'truncate audit_events'])
    await expect(database().$client.query(statement)).rejects.toThrow('rows are only ever added');
});

test('writes the rows of calls in groups, in their order', async () => {
  const batches: number[] = [];
  const log = openAuditLog(database());
  const writer = createAuditWriter({
    database: database(),
    logger,
    log,
    append: async (entries, at) => {
      batches.push(entries.length);
      const { values, hash } = linkValues(entries, at);
      await database().$client.query(appendLink, values);
      return hash;
    },
  });
  for (let index = 0; index < 1200; index += 1) writer.write(event({ tool: String(index), run: 'run_group' }));
  await writer.drained();
  const rows = await queryAudit(database(), defaultTenancy, { run: 'run_group', limit: 2000 });
  expect(rows.map(({ tool }) => Number(tool))).toEqual(Array.from({ length: 1200 }, (_, index) => index));
  expect(batches.length).toBeLessThan(10);
  await writer.close();
});

test('keeps rows while the database is away, refuses calls when too many wait, and writes them when it is back', async () => {
  let isAway = true;
  const written: unknown[] = [];
  const writer = createAuditWriter({
    database: database(),
    log: openAuditLog(database()),
    logger,
    maxPending: 2,
    retryDelayMs: 1,
    append: async (entries) => {
      if (isAway) throw new PlatformError('store_unavailable', 'away');
      written.push(...entries);
      return Buffer.alloc(32);
    },
  });
  writer.write(event());
  writer.assertWritable();
  writer.write(event());
  expect(() => writer.assertWritable()).toThrow(/no call is let through/);
  isAway = false;
  await writer.drained();
  expect(written).toHaveLength(2);
  writer.assertWritable();
  await writer.close();
});

test('keeps rows whose names hold what Postgres takes in no text', async () => {
  await append([
    event({ run: 'run_odd', tool: 'x\u0000y', facts: { paths: ['/a\u0000b', '/c\ud800'] } }),
    event({ run: 'run_odd', tool: 'after' }),
  ]);
  expect(await toolsOf({ run: 'run_odd' })).toEqual(['x\\u0000y', 'after']);
});

test('a row that the database refuses holds up no other, and what it is about is written all the same', async () => {
  const writer = createAuditWriter({ database: database(), log: openAuditLog(database()), logger });
  writer.write(event({ run: 'run_bad', tool: 'before' }));
  writer.write(event({ run: 'run_bad', tool: 'bad', inputTokens: 0.5, decisionId: 'dec_bad' }));
  writer.write(event({ run: 'run_bad', tool: 'after' }));
  await writer.drained();
  await writer.close();
  expect(await toolsOf({ run: 'run_bad' })).toEqual(['before', 'after']);
  const rows = await queryAudit(database(), defaultTenancy, { limit: 50 });
  expect(rows.find((row) => row.decisionId === 'dec_bad')).toMatchObject({ errorCode: 'row_refused', tool: null });
});
