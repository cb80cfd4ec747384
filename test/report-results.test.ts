import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { judgeClauses, summarizeFamilies } from './support/acceptance-status.ts';
import { hasReport, readOutcomes, readSuiteResults } from './support/report-results.ts';
import { renderPage, replaceBetweenMarkers } from './support/status-tables.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'report-'));
  mkdirSync(join(root, 'test-results'));
});
afterEach(() => rmSync(root, { recursive: true }));

const report = (suite: string, content: unknown) => writeFileSync(join(root, 'test-results', `${suite}.json`), JSON.stringify(content));
const file = (name: string, status: string, tests: [string, string][]) => ({
  name: join(root, name),
  status,
  assertionResults: tests.map(([title, status]) => ({ ancestorTitles: ['group'], title, status })),
});

test('counts tests by what became of them, and keys them by file, group and name', () => {
  report('quick', {
    success: false,
    testResults: [
      file('test/a.test.ts', 'failed', [
        ['works', 'passed'],
        ['breaks', 'failed'],
        ['waits', 'pending'],
      ]),
    ],
  });
  const results = readSuiteResults(root, 'quick');
  expect(results).toMatchObject({ passed: 1, failed: 1, skipped: 1 });
  expect([...results.outcomes]).toEqual([
    ['test/a.test.ts › group › works', 'passed'],
    ['test/a.test.ts › group › breaks', 'failed'],
    ['test/a.test.ts › group › waits', 'skipped'],
  ]);
});

test('counts one failure for a suite without a readable report', () => {
  expect(readSuiteResults(root, 'full')).toMatchObject({ passed: 0, failed: 1 });
  writeFileSync(join(root, 'test-results', 'full.json'), '{"success":true,"testRes');
  expect(readSuiteResults(root, 'full')).toMatchObject({ passed: 0, failed: 1 });
});

test('counts one failure for a file that failed outside its tests, and for an error that no test caught', () => {
  report('quick', {
    success: false,
    testResults: [file('test/a.test.ts', 'failed', []), file('test/b.test.ts', 'passed', [['b', 'passed']])],
  });
  expect(readSuiteResults(root, 'quick')).toMatchObject({ passed: 1, failed: 1 });
  report('quick', { success: false, testResults: [file('test/b.test.ts', 'passed', [['b', 'passed']])] });
  expect(readSuiteResults(root, 'quick')).toMatchObject({ passed: 1, failed: 1 });
});

test('says of each failure what it was and what each try met', () => {
  const [broken] = file('test/a.test.ts', 'failed', [['breaks', 'failed']]).assertionResults;
  report('quick', {
    success: false,
    testResults: [
      { ...file('test/a.test.ts', 'failed', []), assertionResults: [{ ...broken, failureMessages: ['first', 'second'] }] },
      { ...file('test/b.test.ts', 'failed', []), message: 'its import failed' },
      { ...file('test/c.test.ts', 'passed', []), assertionResults: [{ ...broken, status: 'passed', failureMessages: ['first'] }] },
    ],
  });
  expect(readSuiteResults(root, 'quick').unsteady).toEqual([{ what: 'test/c.test.ts › group › breaks', said: ['first'] }]);
  expect(readSuiteResults(root, 'quick').failures).toEqual([
    { what: 'test/a.test.ts › group › breaks', said: ['first', 'second'] },
    { what: 'test/b.test.ts', said: ['its import failed'] },
  ]);
  report('quick', { success: false, testResults: [] });
  expect(readSuiteResults(root, 'quick').failures).toEqual([{ what: 'quick', said: ['an error that no test caught'] }]);
});

test('takes a clause as proven only when its test ran and passed', () => {
  report('quick', {
    success: false,
    testResults: [
      file('test/a.test.ts', 'failed', [
        ['works', 'passed'],
        ['breaks', 'failed'],
        ['twice', 'passed'],
        ['twice', 'failed'],
      ]),
    ],
  });
  const claim = (clause: string, name: string) => ({
    id: 'GW-1',
    clause,
    text: `what ${name} promises | more`,
    test: `test/a.test.ts › group › ${name}`,
  });
  const clauses = judgeClauses([claim('a', 'works'), claim('b', 'breaks'), claim('c', 'gone'), claim('d', 'twice')], readOutcomes(root));
  expect(clauses.map(({ outcome }) => outcome)).toEqual(['passed', 'failed', 'not run', 'failed']);
  expect(summarizeFamilies(clauses).find(({ title }) => title === 'Gateway')).toMatchObject({
    range: 'GW-1 … GW-30',
    casesClaimed: 1,
    clauses: 4,
    proven: 1,
  });
  expect(renderPage(clauses)).toContain('| GW-1 c | what gone promises \\| more |  | test/a.test.ts › group › gone | not run |');
});

test('counts what a suite for itself proves, where it has left a report', () => {
  const claims = [{ id: 'GW-5', clause: 'c', text: 'for long', test: 'test/a.fuzz.ts › group › long', suite: 'fuzz' as const }];
  expect([hasReport(root, 'fuzz'), judgeClauses(claims, readOutcomes(root))[0]?.outcome]).toEqual([false, 'not run']);
  report('fuzz', { success: true, testResults: [file('test/a.fuzz.ts', 'passed', [['long', 'passed']])] });
  expect([hasReport(root, 'fuzz'), judgeClauses(claims, readOutcomes(root))[0]?.outcome]).toEqual([true, 'passed']);
});

test('writes the table between the markers and leaves the rest of the document alone', () => {
  const document = 'before\n<!-- status:begin -->\nold\n<!-- status:end -->\nafter\n';
  expect(replaceBetweenMarkers(document, '| new |')).toBe('before\n<!-- status:begin -->\n| new |\n<!-- status:end -->\nafter\n');
  expect(() => replaceBetweenMarkers('no markers', '| new |')).toThrow('status:begin');
});
