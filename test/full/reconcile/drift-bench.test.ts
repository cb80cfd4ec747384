import { mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { flatReconcileResult } from '../../../bench/reconcile/render-reconcile-bench.ts';
import { allCases } from '../../../bench/reconcile/run-reconcile-bench.ts';
import { letterOf } from '../../../bench/reconcile/taxonomy.ts';
import { runCli } from '../../support/run-cli.ts';

// biome-ignore lint/suspicious/noExplicitAny: figures by the name of a model
type Flat = ReturnType<typeof flatReconcileResult> & Record<string, any>;

let folder: string;
let result: Flat;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-drift-'));
  const { stdout, stderr } = await runCli(
    ['bench', 'reconcile', '--models', 'expert,wrong-fix,garbage', '--lanes', '8', '--data', folder, '--json'],
    { env: { HOME: homedir() } },
  );
  const last = stdout.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Error(`the bench ended without figures: ${stderr.slice(-3000)}`);
  result = JSON.parse(last) as Flat;
}, 900_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const casesOf = (model: string) => result.cases.filter((one) => one.model === model);

describe('faults on a real cluster under the real platform', () => {
  test('what rules can mend ends right without one call of a model', () => {
    const played = casesOf('expert').filter(({ rule }) => rule === 'Y');
    expect(played.length).toBe(allCases.filter(({ id }) => letterOf(id) === 'Y').length);
    for (const { id, isRight, modelCalls } of played) expect({ id, isRight, modelCalls }).toEqual({ id, isRight: true, modelCalls: 0 });
  });

  test('with an expert all but one in fifteen end mended, left alone or asked, as is right', () => {
    const wrong = casesOf('expert').filter(({ isRight }) => !isRight);
    if (wrong.length > Math.floor(allCases.length / 15)) expect(wrong, 'not right').toEqual([]);
    expect(casesOf('expert')).toHaveLength(allCases.length);
  });

  test('every wrong fix is blocked, and most of them by checks, policy or people', () => {
    const { blocked, blockedRate, blockedBy, of } = result['wrong-fix'];
    expect({ blocked, blockedRate }).toEqual({ blocked: of, blockedRate: 1 });
    expect(blockedBy.checks + blockedBy['dry-run'] + blockedBy.policy + blockedBy.people).toBeGreaterThanOrEqual(15);
  });

  test('what is garbage changes nothing: somebody is asked', () => {
    for (const { id, end, fixes } of casesOf('garbage')) {
      expect(['asked', 'left-alone'], id).toContain(end);
      expect(
        fixes.filter(({ source }) => source === 'model'),
        id,
      ).toEqual([]);
    }
  });

  test('in every case nothing else changed', () => {
    expect(result.cases.filter(({ changed, failure }) => changed.length > 0 || failure !== undefined)).toEqual([]);
  });
});
