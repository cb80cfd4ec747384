import { type PolicyJson, policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { AuditEvent } from '../schema/audit-event.ts';
import type { PolicyEffect } from '../schema/decision-basis.ts';
import type { BacktestReport, Flip, UndecidedReason } from '../schema/policy-backtest.ts';
import { type ProjectPolicies, splitPolicySet } from './assemble-policies.ts';
import type { PolicyDecision } from './policy-decision.ts';
import { readsOf } from './policy-reads.ts';

/** One recorded call, what was decided then, and what would be decided: with the policies that are tried, and with those in force. */
export type Retried = {
  row: AuditEvent;
  action: string;
  effect: PolicyEffect;
  tried: PolicyDecision;
  today: PolicyDecision;
};

/** A condition without the question whether there are URLs at all, which the record answers. */
const withoutEmptiness = (expression: unknown): unknown => {
  if (Array.isArray(expression)) return expression.map(withoutEmptiness);
  if (typeof expression !== 'object' || expression === null) return expression;
  if ('isEmpty' in expression) return { Value: true };
  return Object.fromEntries(Object.entries(expression).map(([key, inner]) => [key, withoutEmptiness(inner)]));
};

/** Whether one of these policies may look at whole URLs, of which the record keeps only a part. */
export const looksAtUrls = (policySets: ProjectPolicies['policySets']): boolean => {
  const mayLook = (json: PolicyJson): boolean => {
    const reads = readsOf({ ...json, conditions: withoutEmptiness(json.conditions) as PolicyJson['conditions'] });
    return (
      !reads ||
      reads.some(({ variable, path }) => variable === 'context' && path[0] === 'arguments' && [undefined, 'urls'].includes(path[1]))
    );
  };
  const texts = policySets.flatMap(({ name, cedar }) => {
    const parts = splitPolicySet(name, cedar);
    return parts.ok ? Object.values(parts.policies) : [];
  });
  return texts.some((text) => {
    const json = policyToJson(text);
    return json.type === 'failure' || mayLook(json.json);
  });
};

/** A request that does not fit the vocabulary is decided by no policy. */
export const fitsVocabulary = ({ error, policies }: PolicyDecision): boolean => error === undefined || policies.length > 0;

const targetOf = ({ tool, model, resource, org, project }: AuditEvent): string => tool ?? model ?? resource ?? `${org}/${project}`;

const flipOf = ({ row, action, effect, tried, today }: Retried): Flip => ({
  role: row.role,
  people: row.person === null ? [] : [row.person],
  action,
  server: row.server,
  target: targetOf(row),
  from: effect,
  to: tried.effect,
  by: tried.policies,
  advice: tried.need?.reason ? [tried.need.reason] : tried.advice,
  isSoToday: today.effect === tried.effect,
  count: 1,
  firstAt: row.at,
  lastAt: row.at,
  decisionId: row.decisionId,
});

/** Of a person the calls stand apart; of agents those of one role together. */
const keyOf = ({ role, people, action, server, target, from, to, by, isSoToday }: Flip): string =>
  JSON.stringify([role ?? people, role !== null, action, server, target, from, to, by, isSoToday]);

const joined = (one: Flip, other: Flip): Flip => ({
  ...one,
  people: [...new Set([...one.people, ...other.people])].sort(),
  count: one.count + other.count,
  lastAt: other.lastAt,
});

/** Puts together what a trial of policies on recorded calls has found; what flips most often first. */
export const reportBacktest = (
  retried: readonly Retried[],
  undecided: readonly UndecidedReason[],
  notes: string[] = [],
): BacktestReport => {
  const flips = new Map<string, Flip>();
  for (const flip of retried.filter(({ effect, tried }) => effect !== tried.effect).map(flipOf)) {
    const key = keyOf(flip);
    const known = flips.get(key);
    flips.set(key, known ? joined(known, flip) : flip);
  }
  const all = [...flips.values()].sort((one, other) => other.count - one.count);
  return {
    decided: retried.length,
    flipped: all.reduce((sum, { count }) => sum + count, 0),
    flips: all,
    undecided: [...Map.groupBy(undecided, (reason) => reason)].map(([reason, each]) => ({ reason, count: each.length })),
    notes,
    firstAt: retried[0]?.row.at ?? null,
    lastAt: retried.at(-1)?.row.at ?? null,
  };
};
