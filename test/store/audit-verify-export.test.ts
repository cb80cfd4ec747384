import { createHash } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { createCheckpointer } from '../../store/audit-checkpoints.ts';
import { exportAudit } from '../../store/audit-export.ts';
import { createAuditSigner, makeAuditKey } from '../../store/audit-key.ts';
import { verifyExport } from '../../store/audit-verify-export.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const logger = createLogger({ name: 'test', level: 'silent' });
const signer = createAuditSigner(makeAuditKey());
const event = (tool: string, more: Partial<NewAuditEvent> = {}): NewAuditEvent => ({
  ...defaultTenancy,
  kind: 'call',
  action: 'callTool',
  decision: 'allow',
  decisionId: `dec_${tool}`,
  person: 'admin',
  tool,
  outcome: 'ok',
  durationMs: 1.25,
  facts: { b: 1, a: ['x'] },
  ...more,
});

// biome-ignore lint/suspicious/noExplicitAny: lines are spoiled field by field
type Line = any;
let whole: string[] = [];
const take = async (): Promise<string[]> => {
  const lines: string[] = [];
  for await (const line of exportAudit(database(), defaultTenancy, signer.publicKey, new Date())) lines.push(line.trimEnd());
  return lines;
};
async function* each(lines: string[]) {
  yield* lines;
}
const verify = (lines: string[], key = signer.publicKey) => verifyExport(each(lines), key);
/** What somebody does who knows the format: the end is made anew, so that nothing but the chain can tell. */
const sealedAnew = (lines: Line[]): string[] => {
  const body = lines.filter(({ type }) => type !== 'end').map((line) => JSON.stringify(line));
  const digest = createHash('sha256')
    .update(body.map((line) => `${line}\n`).join(''))
    .digest('hex');
  return [...body, JSON.stringify({ type: 'end', lines: body.length, digest })];
};
const spoiled = async (spoil: (lines: Line[]) => Line[] | undefined) => {
  const lines = whole.map((line) => JSON.parse(line));
  return (await verify(sealedAnew(spoil(lines) ?? lines))).breaches[0];
};
const rowOf = (lines: Line[], tool: string): Line => lines.find(({ type, event }) => type === 'row' && event.tool === tool);

beforeAll(async () => {
  const log = openAuditLog(database(), 'gateway');
  await log.append(database(), [event('one'), event('two'), event('theirs', { project: 'other', resource: 'their-secret' })]);
  await log.append(database(), [event('three', { resource: 'a\u0000b\ud800 \\u0000', durationMs: Number.NaN })]);
  await log.append(database(), [event('four'), event('five')]);
  await createCheckpointer({ database: database(), signer, logger, sink: { read: async () => [], append: async () => undefined } })();
  await log.append(database(), [event('six')]);
  whole = await take();
});

test('an export verifies without the database, says what is not signed yet, and holds nothing of other projects but digests', async () => {
  expect(await verify(whole)).toMatchObject({
    ok: true,
    rows: 7,
    links: 4,
    chains: 1,
    checkpoints: 1,
    unsignedRows: 1,
    withheldRows: 1,
    breaches: [],
  });
  expect(whole.join()).not.toContain('their-secret');
  expect(whole.join()).not.toContain('"admin"');
  expect(await verifyExport(each(whole))).toMatchObject({ ok: true, isOwnKey: true, keyId: signer.keyId });
});

test('a changed row and an edited pseudonym are named, digest made anew or not', async () => {
  const sequence = JSON.parse(whole.find((line) => line.includes('"two"')) ?? '{}').sequence;
  expect(await spoiled((lines) => void Object.assign(rowOf(lines, 'two').event, { decision: 'deny' }))).toMatchObject({
    kind: 'row-changed',
    sequence,
  });
  expect(await spoiled((lines) => void Object.assign(rowOf(lines, 'two').event, { person: 'psn_somebody-else' }))).toMatchObject({
    kind: 'row-changed',
    sequence,
  });
  expect(await spoiled((lines) => void Object.assign(rowOf(lines, 'two'), { type: 'withheld', digest: '0'.repeat(64) }))).toMatchObject({
    kind: 'link-changed',
  });
  expect(await spoiled((lines) => void Object.assign(rowOf(lines, 'two'), { at: '2020-01-01T00:00:00.000000Z' }))).toMatchObject({
    kind: 'row-changed',
    sequence,
  });
});

test('a gap is named: a row, a commit with its rows, a commit at the beginning', async () => {
  expect(await spoiled((lines) => lines.filter((line) => line !== rowOf(lines, 'one')))).toMatchObject({ kind: 'row-missing' });
  const without = (number: number) => (lines: Line[]) => {
    const begin = lines.findIndex((line) => line.number === number && line.type === 'commit');
    const end = lines.findIndex((line, index) => index > begin && line.type === 'commit');
    return lines.toSpliced(begin, end - begin);
  };
  expect(await spoiled(without(2))).toMatchObject({ kind: 'link-missing', link: 2 });
  expect(await spoiled(without(1))).toMatchObject({ kind: 'link-missing', link: 1 });
});

test('rows and commits in another order, and a row that was put in, are named', async () => {
  const swap = (first: string, second: string) => (lines: Line[]) => {
    const [a, b] = [lines.indexOf(rowOf(lines, first)), lines.indexOf(rowOf(lines, second))];
    return lines.with(a, lines[b]).with(b, lines[a]);
  };
  expect(await spoiled(swap('one', 'two'))).toMatchObject({ kind: 'rows-reordered' });
  const moved = await spoiled((lines) => {
    const begin = lines.findIndex((line) => line.type === 'commit' && line.number === 2);
    return [...lines.toSpliced(begin, 2), ...lines.slice(begin, begin + 2)];
  });
  expect(moved).toMatchObject({ kind: 'link-missing', link: 2 });
  expect(await spoiled((lines) => [...lines.slice(0, -1), rowOf(lines, 'six')])).toMatchObject({ kind: 'row-inserted' });
});

test('an end that is cut off is named: by the checkpoint before it, else by the end that is not there', async () => {
  const atCheckpoint = await spoiled((lines) =>
    lines.slice(
      0,
      lines.findIndex((line) => line.type === 'commit' && line.number === 3),
    ),
  );
  expect(atCheckpoint).toMatchObject({ kind: 'tail-missing', link: 3 });
  expect((await verify(whole.slice(0, -1))).breaches).toMatchObject([
    { kind: 'export-damaged', message: expect.stringContaining('cut off after line') },
  ]);
  expect((await verify(whole.toSpliced(-3, 2))).breaches.map(({ kind }) => kind)).toContain('export-damaged');
  expect((await verify([...whole.slice(0, 4), '{"type":"row"', ...whole.slice(4)])).breaches[0]).toMatchObject({
    message: 'line 5 is no line of an export',
  });
});

test('a chain that was made anew with a key of the forger’s own is refused by the key that is trusted', async () => {
  const forger = createAuditSigner(makeAuditKey());
  const lines = whole.map((line) => JSON.parse(line));
  Object.assign(lines[0], { publicKey: forger.publicKey });
  for (const line of lines) if (line.type === 'checkpoint') line.signature = forger.sign(line.statement);
  expect((await verifyExport(each(sealedAnew(lines)))).ok).toBe(true);
  expect((await verify(sealedAnew(lines))).breaches.map(({ kind }) => kind)).toEqual(['export-damaged', 'checkpoint-forged']);
  expect(await spoiled((all) => all.filter(({ type }) => type !== 'checkpoint'))).toBeUndefined();
  expect((await verify(sealedAnew(whole.map((line) => JSON.parse(line)).filter(({ type }) => type !== 'checkpoint')))).unsignedRows).toBe(
    7,
  );
});

test('erasing a person keeps an export whole, before and after', async () => {
  const { people } = openAuditLog(database());
  await people.erase(database(), { org: 'default', id: 'admin' });
  expect(await verify(await take())).toMatchObject({ ok: true, rows: 7 });
  expect(await verify(whole)).toMatchObject({ ok: true, rows: 7 });
});

test('what is no export is said so', async () => {
  for (const lines of [[], ['{}'], ['no json'], whole.slice(1)])
    await expect(verify(lines)).rejects.toMatchObject({ code: 'input_invalid' });
});
