import { type AcceptanceEntry, acceptanceFamilies } from '../acceptance.ts';
import type { TestOutcome } from './report-results.ts';

/** `not run` also covers a test that no longer exists under that name, and a suite that was not run. */
export type ClauseStatus = AcceptanceEntry & { outcome: TestOutcome | 'not run' };

/**
 * Joins what is claimed with what a test run showed. A clause is proven only by a test that ran and passed.
 * @param entries - the acceptance list
 * @param outcomes - of every test that ran, keyed as `AcceptanceEntry.test`
 */
export const judgeClauses = (entries: readonly AcceptanceEntry[], outcomes: ReadonlyMap<string, TestOutcome>): ClauseStatus[] =>
  entries.map((entry) => ({ ...entry, outcome: outcomes.get(entry.test) ?? 'not run' }));

export type FamilyStatus = { title: string; range: string; cases: number; casesClaimed: number; clauses: number; proven: number };

/** One row per family of cases, for the table of the README. */
export const summarizeFamilies = (clauses: readonly ClauseStatus[]): FamilyStatus[] =>
  acceptanceFamilies.map((family) => {
    const ids = new Set(caseIds(family));
    const own = clauses.filter(({ id }) => ids.has(id));
    return {
      title: family.title,
      range: `${[...ids].at(0)} … ${[...ids].at(-1)}`,
      cases: family.count,
      casesClaimed: new Set(own.map(({ id }) => id)).size,
      clauses: own.length,
      proven: own.filter(({ outcome }) => outcome === 'passed').length,
    };
  });

/** Every id of a family: `R01` to `R26`. */
export const caseIds = ({ prefix, count, digits }: (typeof acceptanceFamilies)[number]): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index + 1).padStart(digits, '0')}`);
