import { expect, test } from 'vitest';
import { approvalTable } from '../../cli/output/approval-text.ts';
import { statusTable } from '../../cli/output/reconcile-text.ts';
import { renderTable, renderTableWithin } from '../../cli/output/table.ts';
import { wrapText } from '../../cli/output/wrap-text.ts';
import type { Approval } from '../../schema/approval.ts';
import type { TargetStatus } from '../../schema/reconcile/target-state.ts';

const now = new Date('2026-03-01T12:01:05Z');
const approvalId = 'apr_8r4m8p2bfn81jukm';
const what = 'unhealthy Deployment/mcp/github-mcp-server-of-the-payments-team ImagePullBackOff';
const waiting: TargetStatus = {
  ...{ org: 'default', project: 'default', target: 'mcp-servers', type: 'kubernetes', phase: 'awaiting-approval' },
  ...{ message: `${approvalId}: ${what}`, drifts: [], conflicts: [], dueAt: null, changedAt: '2026-03-01T12:01:00Z' },
  ...{ openFix: 'fix_1', approvalId, approvalExpiresAt: '2026-03-01T13:00:00Z', pause: null, isPausedBySpec: false, heldUntil: null },
};
const clean: TargetStatus = { ...waiting, target: 'settings', phase: 'clean', message: '', approvalId: null, approvalExpiresAt: null };
const longest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));

test('a table that is too wide for its screen puts columns below their rows, and keeps ids whole', () => {
  const narrow = statusTable([clean, waiting], now, 80);
  expect(narrow.split('\n')).toEqual([
    'TARGET       PHASE              DRIFTS  SINCE  APPROVAL',
    'mcp-servers  awaiting-approval  0       5s     apr_8r4m8p2bfn81jukm',
    '  waits for: a person, expires in 58 min 55 s',
    '  what: unhealthy Deployment/mcp/github-mcp-server-of-the-payments-team',
    '        ImagePullBackOff',
    'settings     clean              0       5s     -',
  ]);
  const broader = statusTable([clean, waiting], now, 120);
  expect(longest(broader)).toBeLessThanOrEqual(120);
  expect(broader).toContain(`  what: ${what}`);
  // where there is no screen, or it is wide enough, all of it stands in one line
  for (const columns of [undefined, 400]) expect(statusTable([clean, waiting], now, columns).split('\n')).toHaveLength(3);
});

test('approvals fit a screen of 80 and of 120 columns, with who may answer and until when', () => {
  const approval = {
    ...{ id: approvalId, kind: 'fix', state: 'pending', subject: `mcp-servers: ${what}`, person: 'admin', agent: null, run: null },
    ...{ server: '', tool: '', reason: 'A fix of this kind is applied when a person has looked at it, which takes a moment.' },
    ...{ requestedAt: '2026-03-01T12:00:00Z', expiresAt: '2026-03-01T13:00:00Z' },
    rules: [{ policy: 'p', approvers: ['role:administrator', 'role:reviewer', 'group:ops-of-the-payments-team'], count: 1 }],
  } as unknown as Approval;
  for (const columns of [80, 100, 120]) {
    const table = approvalTable([approval, approval], now, columns);
    expect(longest(table), `${columns}`).toBeLessThanOrEqual(columns);
    const words = table.replaceAll(/\s+/g, ' ');
    for (const part of [approvalId, 'in 58 min', 'role:administrator or role:reviewer', 'takes a moment.', 'ImagePullBackOff'])
      expect(words, `${columns}`).toContain(part);
  }
  expect(longest(approvalTable([approval], now)), 'a pipe').toBeGreaterThan(200);
});

test('of a text below its row three lines are shown, and control characters as what they are', () => {
  const rows = [['one', `\u001b[31m${'word '.repeat(100)}`]];
  const lines = renderTableWithin(['NAME', 'TEXT'], rows, { columns: 40, below: ['TEXT'] }).split('\n');
  expect(lines).toHaveLength(5);
  expect(lines[2]).toMatch(/^ {2}text: \\u001b/);
  expect(lines.at(-1)).toMatch(/^ {8}word .*…$/);
  expect(longest(lines.join('\n'))).toBeLessThanOrEqual(40);
  expect(renderTableWithin(['NAME', 'TEXT'], rows, { columns: undefined, below: ['TEXT'] })).toBe(renderTable(['NAME', 'TEXT'], rows));
});

test('a text is broken between words, and a word only where it is longer than a line', () => {
  expect(wrapText('two words and more', 9)).toEqual(['two words', 'and more']);
  expect(wrapText('0123456789abc', 5)).toEqual(['01234', '56789', 'abc']);
  expect(wrapText('short', 9)).toEqual(['short']);
  expect(wrapText('a much longer text', 6, { mostLines: 2 })).toEqual(['a much', 'longe…']);
});
