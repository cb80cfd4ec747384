import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ProjectPolicies } from '../../policy/assemble-policies.ts';
import { fitsVocabulary, looksAtUrls, type Retried, reportBacktest } from '../../policy/backtest.ts';
import { createPolicyEngine, type PolicyEngine } from '../../policy/engine.ts';
import type { KnownRequest } from '../../policy/known.ts';
import type { PolicyDecision } from '../../policy/policy-decision.ts';
import { isCut, isShortened } from '../../policy/recorded-context.ts';
import { recordedRego, regoAgain } from '../../policy/rego/rego-again.ts';
import { refusalIn } from '../../policy/rego/rego-policies.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { BacktestReport, RecordedWindow, UndecidedReason } from '../../schema/policy-backtest.ts';
import { listDecidedRows } from '../../store/decided-rows.ts';
import type { ApiDependencies } from './api-dependencies.ts';
import { type RecordedDecision, readDecisions } from './recorded-decision.ts';
import { removalNotes } from './removal-notes.ts';

/** So many decisions at a time; then others of this process have their turn. */
const atOnce = 100;

let engines: { tried: PolicyEngine; today: PolicyEngine } | undefined;
let last: Promise<unknown> = Promise.resolve();

/** Cedar keeps what was parsed under names that a process shares, so those who try policies wait for each other. */
const alone = <T>(work: (engines: { tried: PolicyEngine; today: PolicyEngine }) => Promise<T>): Promise<T> => {
  engines ??= { tried: createPolicyEngine({ name: 'tried' }), today: createPolicyEngine({ name: 'today' }) };
  const own = engines;
  const result = last.then(() => work(own));
  last = result.catch(() => undefined);
  return result;
};

const load = (engine: PolicyEngine, tenancy: Tenancy, policies: ProjectPolicies): void => {
  const loaded = engine.load(tenancy, policies);
  if (loaded.ok) return;
  const [first] = loaded.issues;
  throw new PlatformError('resource_invalid', `The policies are not valid: ${first?.name}: ${first?.message}.`);
};

/** A decision as Rego would narrow it; undefined where that cannot be told. */
const narrowed = (
  decision: PolicyDecision,
  { row, bundle }: RecordedDecision,
  { policySets }: ProjectPolicies,
): PolicyDecision | undefined => {
  if (decision.effect === 'deny') return decision;
  const said = regoAgain(row, bundle.policySets, policySets);
  return said === undefined || said === 'pass'
    ? said && decision
    : { ...decision, effect: 'deny', policies: said.rules, advice: said.messages };
};

/** What was decided then, all in all. */
const effectThen = ({ row, basis }: RecordedDecision): PolicyDecision['effect'] => (refusalIn(recordedRego(row)) ? 'deny' : basis.effect);

/**
 * Decides recorded decisions again, with policies that are not in force and with those that are.
 * @throws {PlatformError} `resource_invalid` where the policies that are tried are not valid
 */
export const retry = (
  recorded: readonly RecordedDecision[],
  tenancy: Tenancy,
  { tried, today }: { tried: ProjectPolicies; today: ProjectPolicies },
): Promise<{ retried: Retried[]; undecided: UndecidedReason[] }> =>
  alone(async (engines) => {
    load(engines.tried, tenancy, tried);
    load(engines.today, tenancy, today);
    const seesUrls = looksAtUrls(tried.policySets);
    const retried: Retried[] = [];
    const undecided: UndecidedReason[] = [];
    for (const [index, one] of recorded.entries()) {
      if (index % atOnce === atOnce - 1) await nextTurn();
      const { row, basis, bundle, asked } = one;
      const ask = (engine: PolicyEngine): PolicyDecision => engine.decideKnown(tenancy, asked);
      if (bundle.org !== tenancy.org || bundle.project !== tenancy.project) undecided.push('other-project');
      else if (isShortened(row.facts) || (seesUrls && isCut(row.facts))) undecided.push('url-cut');
      else {
        const decision = ask(engines.tried);
        const triedWhole = narrowed(decision, one, tried);
        const byToday = ask(engines.today);
        if (!fitsVocabulary(decision)) undecided.push('vocabulary-changed');
        else if (!triedWhole) undecided.push('arguments-not-kept');
        else
          retried.push({
            row,
            action: basis.action,
            effect: effectThen(one),
            tried: triedWhole,
            today: narrowed(byToday, one, today) ?? byToday,
          });
      }
    }
    return { retried, undecided };
  });

/** Decides requests that nobody made, by policies that are tried and by those in force. @throws as `retry` does */
export const compareDecisions = (
  requests: readonly KnownRequest[],
  tenancy: Tenancy,
  { tried, today }: { tried: ProjectPolicies; today: ProjectPolicies },
): Promise<{ tried: PolicyDecision; today: PolicyDecision }[]> =>
  alone(async (engines) => {
    load(engines.tried, tenancy, tried);
    load(engines.today, tenancy, today);
    return requests.map((asked) => ({
      tried: engines.tried.decideKnown(tenancy, asked),
      today: engines.today.decideKnown(tenancy, asked),
    }));
  });

/** Tries policies on the recorded calls of a project. @throws as `retry` does */
export const backtest = async (
  { database, audit }: Pick<ApiDependencies, 'database' | 'audit'>,
  tenancy: Tenancy,
  policies: { tried: ProjectPolicies; today: ProjectPolicies },
  { since, limit }: RecordedWindow,
): Promise<BacktestReport> => {
  const rows = await listDecidedRows(database, tenancy, { since: since === undefined ? undefined : new Date(since), limit }, audit.people);
  const read = await readDecisions(database, tenancy, rows);
  const missing = read.flatMap((each): UndecidedReason[] =>
    'recorded' in each ? [] : [each.reason === 'facts-removed' ? 'facts-removed' : 'facts-missing'],
  );
  const { retried, undecided } = await retry(
    read.flatMap((each) => ('recorded' in each ? [each.recorded] : [])),
    tenancy,
    policies,
  );
  const notes = await removalNotes(database, tenancy, ['audit', 'decisionFacts'], since);
  return reportBacktest(retried, [...missing, ...undecided], notes);
};
