import { existsSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { z } from 'zod';

/** The part of the runner's JSON report that is used here; the rest is ignored. */
const ReportSchema = z.object({
  success: z.boolean(),
  testResults: z.array(
    z.object({
      name: z.string(), // absolute path of the file
      status: z.enum(['passed', 'failed']),
      message: z.string().default(''), // why the file failed outside its tests
      assertionResults: z.array(
        z.object({
          ancestorTitles: z.array(z.string()),
          title: z.string(),
          status: z.string(),
          failureMessages: z.array(z.string()).nullish(), // one for each try
        }),
      ),
    }),
  ),
});

export type TestOutcome = 'passed' | 'failed' | 'skipped';

const badness = { passed: 0, skipped: 1, failed: 2 } as const satisfies Record<TestOutcome, number>;

/** What failed, as `file › group › name` or the file alone, and what was said of it, a text for each try. */
export type Failure = { what: string; said: readonly string[] };

/** What one suite did. `outcomes` is keyed by `file › group › name`, the file from the root. */
export type SuiteResults = {
  outcomes: ReadonlyMap<string, TestOutcome>;
  failures: readonly Failure[];
  /** What passed when it was tried again: they lean on a time or a place that is not theirs. */
  unsteady: readonly Failure[];
  passed: number;
  failed: number;
  skipped: number;
};

/** The suites that a change must pass. */
export const suiteNames = ['quick', 'full'] as const;
/** Those that are run for themselves; a report of theirs may be there or not. */
export const longSuiteNames = ['fuzz', 'soak', 'figures'] as const;

/** Whether a suite has left a report. */
export const hasReport = (root: string, suite: string): boolean => existsSync(reportFile(root, suite));
const reportFile = (root: string, suite: string): string => join(root, 'test-results', `${suite}.json`);

/**
 * Reads the report that a suite left in `test-results/`. A suite that left none, or one that cannot be read, counts as one failure,
 * and so does a file that failed outside its tests (an import, a hook) or an error nobody awaited: none of them may pass unseen.
 * @param root - folder of the repository, absolute
 * @param suite - one of the names above
 */
export const readSuiteResults = (root: string, suite: string): SuiteResults => {
  const file = reportFile(root, suite);
  const report = existsSync(file) ? ReportSchema.safeParse(parseJson(readFileSync(file, 'utf8'))) : undefined;
  if (!report?.success)
    return {
      outcomes: new Map(),
      failures: [{ what: suite, said: ['it left no report that can be read'] }],
      unsteady: [],
      passed: 0,
      failed: 1,
      skipped: 0,
    };

  const outcomes = new Map<string, TestOutcome>();
  const failures: Failure[] = [];
  const unsteady: Failure[] = [];
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { name, status, message, assertionResults } of report.data.testResults) {
    const path = relative(root, name).split(sep).join('/');
    for (const test of assertionResults) {
      const outcome = test.status === 'passed' || test.status === 'failed' ? test.status : 'skipped';
      const key = [path, ...test.ancestorTitles, test.title].join(' › ');
      const seen = outcomes.get(key);
      // Of two tests with one name the worse outcome stands.
      outcomes.set(key, seen === undefined || badness[outcome] > badness[seen] ? outcome : seen);
      counts[outcome] += 1;
      const said = test.failureMessages ?? [];
      if (outcome === 'failed') failures.push({ what: key, said });
      else if (said.length > 0) unsteady.push({ what: key, said });
    }
    if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) failures.push({ what: path, said: [message] });
  }
  if (!report.data.success && failures.length === 0) failures.push({ what: suite, said: ['an error that no test caught'] });
  return { outcomes, failures, unsteady, ...counts, failed: failures.length };
};

/** What became of every test that the last runs report, over all suites. Keyed as `SuiteResults.outcomes`. */
export const readOutcomes = (root: string): ReadonlyMap<string, TestOutcome> =>
  new Map([...suiteNames, ...longSuiteNames].flatMap((suite) => [...readSuiteResults(root, suite).outcomes]));

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a run cut short leaves half a report
  }
};
