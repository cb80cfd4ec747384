import { getTableColumns } from 'drizzle-orm';
import { expect, test } from 'vitest';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { auditEvents } from '../../schema/tables/tables.ts';
import { appendLink, type ChainPlace, chainBegin, linkValues } from '../../store/audit-chain.ts';
import { copyLink } from '../../store/audit-copy.ts';
import type { AuditEntry } from '../../store/audit-rows.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const { sequence: _sequence, writer: _writer, ...compared } = getTableColumns(auditEvents);
const columns = Object.values(compared).map(({ name }) => `${name}::text`);

const place = (writer: string, number = 1, previous = chainBegin({ writer, epoch: 1 })): ChainPlace => ({
  writer,
  epoch: 1,
  number,
  previous,
});
const event = (more: Partial<NewAuditEvent> = {}): NewAuditEvent => ({
  ...defaultTenancy,
  kind: 'call',
  action: 'callTool',
  decision: 'allow',
  decisionId: 'dec_1',
  outcome: 'ok',
  ...more,
});
const entry = (more: Partial<NewAuditEvent> = {}, pseudonym?: string): AuditEntry => ({
  event: event(more),
  atMs: 1_800_000_000_123,
  ...(pseudonym === undefined ? {} : { pseudonym }),
});
const rowsOf = async (writer: string) => {
  const text = `select ${columns.join(', ')} from audit_events where writer = $1 order by position`;
  return (await database().$client.query({ text, values: [writer], rowMode: 'array' })).rows;
};

const odd = [
  '\\N',
  '\\.',
  '',
  ' ',
  'a\tb',
  'a\nb',
  'a\r\nb',
  'back\\slash',
  '\\\\',
  '"quoted"',
  "it's",
  '{a,b}',
  'null',
  'é世界🙂',
  'a\u0000b',
  'half\ud800',
];

test('what is copied is what JSON writes, whatever characters and numbers a row holds', async () => {
  const every: Partial<NewAuditEvent> = {
    agent: 'a/b',
    role: 'reader',
    fleet: 'f',
    run: 'run_1',
    toolset: 't',
    server: 's',
    tool: 'x',
    model: 'm',
    resource: 'r://1',
    operationId: 'op',
    errorCode: 'internal',
    durationMs: 0.1 + 0.2,
    inputTokens: Number.MAX_SAFE_INTEGER,
    outputTokens: 0,
    costMicroUsd: -1,
    stamp: 'stamp',
    argumentsDigest: 'digest',
    policyVersion: 'version',
    traceId: '0'.repeat(32),
    basis: 'basis',
    policies: ['one', 'two'],
    facts: { bytes: 3, paths: ['/a'], nested: { z: 1, a: null } },
  };
  const entries = [
    entry(),
    entry(every, 'psn_1'),
    entry({ durationMs: 1e-9, inputTokens: null, policies: [], facts: {} }),
    entry({ durationMs: Number.NaN }),
    ...odd.flatMap((text) => [
      entry({ tool: text, resource: text, stamp: text, facts: { [`${text}!`]: text, list: [text] } }, text),
      entry({ policies: [text, 'x', text] }),
    ]),
  ];
  const { values } = linkValues(entries, place('by-json'));
  await database().$client.query(appendLink, values);
  await copyLink(database().$client, entries, place('by-copy'));
  const [byJson, byCopy] = [await rowsOf('by-json'), await rowsOf('by-copy')];
  expect(byCopy).toHaveLength(entries.length);
  expect(byCopy).toEqual(byJson);
});

test('the very same link takes effect once, and another one in its place is refused', async () => {
  const first = await copyLink(database().$client, [entry({ tool: 'a' })], place('again'));
  expect(await copyLink(database().$client, [entry({ tool: 'a' })], place('again'))).toEqual(first);
  await expect(copyLink(database().$client, [entry({ tool: 'b' })], place('again'))).rejects.toMatchObject({ code: '23505' });
  expect(await rowsOf('again')).toHaveLength(1);
});

test('a row that is refused leaves neither the others nor a link, and the connection serves on', async () => {
  const bad = [entry({ tool: 'good' }), entry({ inputTokens: 0.5 })];
  await expect(copyLink(database().$client, bad, place('refused'))).rejects.toMatchObject({ code: '22P02' });
  expect(await rowsOf('refused')).toEqual([]);
  const { rows } = await database().$client.query("select 1 from audit_links where writer = 'refused'");
  expect(rows).toEqual([]);
  const hash = await copyLink(database().$client, [entry({ tool: 'good' })], place('refused'));
  await copyLink(database().$client, [entry({ tool: 'next' })], place('refused', 2, hash));
  expect(await rowsOf('refused')).toHaveLength(2);
});
