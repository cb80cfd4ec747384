import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderRunBlock } from '../../cli/output/run-block.ts';
import { changeLines } from '../../cli/output/run-lines.ts';
import { renderTable } from '../../cli/output/table.ts';
import { unifiedDiff } from '../../cli/output/unified-diff.ts';
import { formatAge, formatCost, formatDuration, parseDuration } from '../../cli/output/units.ts';
import type { RunProgress } from '../../schema/run.ts';

const now = new Date('2026-03-01T12:01:05Z');
const agent = {
  stage: 'read',
  role: 'reader',
  reason: null,
  detail: null,
  steps: 1,
  calls: 1,
  refusals: 0,
  inputTokens: 9,
  outputTokens: 1,
  costMicroUsd: 0,
  waitsFor: null,
};
const run: RunProgress = {
  id: 'run_0000000000000001',
  org: 'default',
  project: 'default',
  fleet: 'survey',
  state: 'running',
  reason: null,
  startedBy: 'admin',
  createdAt: '2026-03-01T12:00:00Z',
  endedAt: null,
  revokedAt: null,
  quality: 'tiny',
  result: null,
  outputDirectory: null,
  stages: [
    { name: 'scout', role: 'scout', agents: 1, pending: 0, running: 0, done: 1, parked: 0, failed: 0, cancelled: 0 },
    { name: 'read', role: 'reader', agents: 4, pending: 1, running: 1, done: 1, parked: 1, failed: 0, cancelled: 0 },
    { name: 'merge', role: 'clerk', agents: 0, pending: 0, running: 0, done: 0, parked: 0, failed: 0, cancelled: 0 },
  ],
  agents: [{ ...agent, id: 'a', ordinal: 3, state: 'parked', reason: 'answer_invalid', detail: 'prose \u001b[31m instead of JSON' }],
  totals: { calls: 12, refusals: 1, inputTokens: 8123, outputTokens: 512, costMicroUsd: 1200 },
};
const plain = (_style: unknown, text: string): string => text;

test('draws a block with a bar for each stage', () => {
  expect(renderRunBlock(run, { now, columns: 120, rows: 24, style: plain })).toEqual([
    'survey  run_0000000000000001  running  1 min 5 s',
    '  scout  ████████████████████  1 of 1 done',
    '  read   █████▒▒▒▒▒▒▒▒▒▒░░░░░  1 of 4 done, 1 running, 1 waiting, 1 parked',
    '  merge  ░░░░░░░░░░░░░░░░░░░░  waiting',
    '  12 calls, 1 refused, 8,123 + 512 tokens, $0.0012',
    '  ! read/reader/3 parked (answer_invalid): prose \\u001b[31m instead of JSON',
  ]);
});

test('keeps the block inside a small terminal', () => {
  const lines = renderRunBlock(run, { now, columns: 30, rows: 4, style: plain });
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line.length).toBeLessThan(30);
});

test('says in lines only what changed', () => {
  const first = changeLines(undefined, run, now);
  expect(first).toEqual([
    '[1 min 5 s] run run_0000000000000001 of survey: running',
    '[1 min 5 s] scout: 1 of 1 done; 12 calls, 1 refused, 8,123 + 512 tokens, $0.0012',
    '[1 min 5 s] read: 1 of 4 done, 1 running, 1 waiting, 1 parked; 12 calls, 1 refused, 8,123 + 512 tokens, $0.0012',
    '[1 min 5 s] read/reader/3 parked (answer_invalid): prose \\u001b[31m instead of JSON',
  ]);
  expect(changeLines(run, run, now)).toEqual([]);
  const next = structuredClone(run);
  if (next.stages[2]) Object.assign(next.stages[2], { agents: 1, running: 1 });
  expect(changeLines(run, next, now)).toEqual([
    '[1 min 5 s] merge: 0 of 1 done, 1 running; 12 calls, 1 refused, 8,123 + 512 tokens, $0.0012',
  ]);
});

test('writes times, costs and ages for people, and reads times', () => {
  expect([12, 840.4, 12_400, 185_000, 7_440_000].map(formatDuration)).toEqual(['12 ms', '840 ms', '12 s', '3 min 5 s', '2 h 4 min']);
  expect([0, 1, 1200, 90_000, 3_200_000].map(formatCost)).toEqual(['$0', '$0.0000010', '$0.0012', '$0.090', '$3.20']);
  expect(['2026-03-01T12:01:00Z', '2026-03-01T11:00:00Z', '2026-02-20T12:00:00Z'].map((at) => formatAge(at, now))).toEqual([
    '5s',
    '1h',
    '9d',
  ]);
  expect(['500ms', '60s', '5m', '2h', '1d', '7', 'soon'].map(parseDuration)).toEqual([
    500,
    60_000,
    300_000,
    7_200_000,
    86_400_000,
    7_000,
    undefined,
  ]);
});

test('lays out tables with a dash for nothing', () => {
  expect(
    renderTable(
      ['NAME', 'STATE'],
      [
        ['echo', ''],
        ['a\tb', 'ok'],
      ],
    ),
  ).toBe('NAME  STATE\necho  -\na\\tb  ok');
});

/** Applies a unified diff as strictly as the format says: every line and every count has to fit. */
const applyDiff = (before: string[], difference: string): string[] => {
  const result: string[] = [];
  let at = 0;
  for (const hunk of difference.split(/^(?=@@ )/m).slice(1)) {
    const [head = '', ...lines] = hunk.replace(/\n$/, '').split('\n');
    const [, start, length, , newLength] = (/^@@ -(\d+),(\d+) \+(\d+),(\d+) @@$/.exec(head) ?? []).map(Number);
    const from = (start ?? 0) - (length === 0 ? 0 : 1);
    result.push(...before.slice(at, from));
    at = from;
    expect(lines.filter((line) => !line.startsWith('+'))).toHaveLength(length ?? -1);
    expect(lines.filter((line) => !line.startsWith('-'))).toHaveLength(newLength ?? -1);
    for (const line of lines) {
      if (!line.startsWith('+')) expect(before[at++]).toBe(line.slice(1));
      if (!line.startsWith('-')) result.push(line.slice(1));
    }
  }
  return [...result, ...before.slice(at)];
};

test('writes diffs that lead from one text to the other', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd: 1', '  e'), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const difference = unifiedDiff(before.join('\n'), after.join('\n'), { before: 'before', after: 'after' });
      if (before.join() === after.join()) expect(difference).toBe('');
      else expect(applyDiff(before, difference)).toEqual(after);
    }),
  );
});

test('says of an agent that waits for a person what to look at, once', () => {
  const waiting = { ...run, agents: [{ ...agent, id: 'b', ordinal: 4, state: 'running' as const, waitsFor: 'apr_0000000000000001' }] };
  const line = 'read/reader/4 waits for a person: quarterdeck approvals show apr_0000000000000001';
  expect(changeLines(run, waiting, now)).toEqual([`[1 min 5 s] ${line}`]);
  expect(changeLines(waiting, waiting, now)).toEqual([]);
  expect(renderRunBlock(waiting, { now, columns: 120, rows: 24, style: plain }).at(-1)).toBe(`  ? ${line}`);
});
