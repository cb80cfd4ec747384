import type { Tenancy } from '../../schema/ids.ts';
import type { DeclaredRego, RegoOutcome, RegoTools } from '../../schema/resources/rego.ts';
import { fitsPattern } from '../fits-pattern.ts';
import type { RegoPool } from './create-rego-pool.ts';
import type { RegoInput } from './rego-input.ts';
import type { RegoVerdict } from './rego-verdict.ts';

/** The Rego of one PolicySet in force. */
export type RegoInForce = { policySet: string; project: string; rego: DeclaredRego };
type ToolName = { toolset: string; server: string; tool: string };

/** Whether Rego is to be asked about a tool. */
export const isAboutTool = (tools: readonly RegoTools[], { toolset, server, tool }: ToolName): boolean =>
  tools.some(
    (each) =>
      (each.toolset === undefined || each.toolset === toolset) &&
      (each.server === undefined || each.server === server) &&
      fitsPattern(each.tool, tool),
  );

const outcomeOf = ({ policySet, rego }: RegoInForce, verdict: RegoVerdict, durationMs: number): RegoOutcome => {
  const known = { policySet, bundle: rego.compiled?.digest ?? null, outcome: verdict.outcome, durationMs };
  if (verdict.outcome === 'pass') return { ...known, rules: [], messages: [] };
  if ('denials' in verdict) {
    const rules = verdict.denials.map(({ rule }) => (rule === undefined ? `rego/${policySet}` : `rego/${policySet}/${rule}`));
    return { ...known, rules: [...new Set(rules)], messages: verdict.denials.map(({ message }) => message) };
  }
  return { ...known, rules: [`rego/${policySet}`], messages: [verdict.detail] };
};

/**
 * Asks Rego about a document that is allowed so far; the first that does not let it pass ends it.
 * @param now - milliseconds, for how long it took
 * @returns what became of each that was asked; the last one refuses, if any does
 */
export const askRego = async (
  pool: Pick<RegoPool, 'evaluate'>,
  about: readonly RegoInForce[],
  input: RegoInput,
  now: () => number,
): Promise<RegoOutcome[]> => {
  const outcomes: RegoOutcome[] = [];
  for (const each of about) {
    const begun = now();
    const { compiled, timeLimitMs } = each.rego;
    const verdict: RegoVerdict = compiled
      ? await pool.evaluate({ project: each.project, compiled, input, timeLimitMs })
      : { outcome: 'not-compiled', detail: 'it was not published, so it is not compiled' };
    outcomes.push(outcomeOf(each, verdict, Math.round((now() - begun) * 100) / 100));
    if (verdict.outcome !== 'pass') break;
  }
  return outcomes;
};

/** The one that refuses, if any does. */
export const refusalIn = (outcomes: readonly RegoOutcome[]): RegoOutcome | undefined => outcomes.find(({ outcome }) => outcome !== 'pass');

/** Why something was refused, for who asked. */
export const refusalText = ({ policySet, outcome, rules, messages }: RegoOutcome): string =>
  outcome === 'deny'
    ? `refused by ${rules.join(', ')}: ${messages.join(' ')}`
    : `the Rego of PolicySet ${policySet} could not decide (${outcome}: ${messages.join(' ')}), which refuses it`;

/** Keeps the Rego of projects as their policies in force have it, and asks it. */
export const createRegoPolicies = ({ pool, now }: { pool: Pick<RegoPool, 'evaluate'>; now: () => number }) => {
  const byProject = new Map<string, RegoInForce[]>();
  let isIdle = true;
  const of = ({ org, project }: Tenancy): readonly RegoInForce[] => byProject.get(`${org}/${project}`) ?? [];

  return {
    /** Whether no project has any: then nothing is looked for. */
    isIdle: (): boolean => isIdle,
    /** In force at once, together with the rest of the policies; the old ones are gone. */
    take: ({ org, project }: Tenancy, { policySets }: { policySets: readonly { name: string; rego?: DeclaredRego }[] }): void => {
      const key = `${org}/${project}`;
      byProject.set(
        key,
        policySets.flatMap(({ name, rego }) => (rego ? [{ policySet: name, project: key, rego }] : [])),
      );
      isIdle = [...byProject.values()].every((each) => each.length === 0);
    },
    /** Those that are to be asked about a tool, in the order of their PolicySets. */
    aboutTool: (tenancy: Tenancy, tool: ToolName): readonly RegoInForce[] =>
      of(tenancy).filter(({ rego }) => isAboutTool(rego.tools, tool)),
    aboutManifest: (tenancy: Tenancy, kind: string): readonly RegoInForce[] =>
      of(tenancy).filter(({ rego }) => rego.manifests.includes(kind)),
    ask: (about: readonly RegoInForce[], input: RegoInput): Promise<RegoOutcome[]> => askRego(pool, about, input, now),
  };
};
export type RegoPolicies = ReturnType<typeof createRegoPolicies>;
