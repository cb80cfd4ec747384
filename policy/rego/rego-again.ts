import type { AuditEvent } from '../../schema/audit-event.ts';
import type { RegoOutcome } from '../../schema/resources/rego.ts';
import type { DeclaredPolicies } from '../assemble-policies.ts';
import { isAboutTool, refusalIn } from './rego-policies.ts';

type Row = Pick<AuditEvent, 'action' | 'toolset' | 'server' | 'tool' | 'resource' | 'facts'>;

/** What a row says of Rego; empty where none was asked. */
export const recordedRego = ({ facts }: Pick<AuditEvent, 'facts'>): RegoOutcome[] =>
  Array.isArray(facts.rego) ? (facts.rego as unknown as RegoOutcome[]) : [];

/** The Rego that is about what a row is of, as one text: equal ones answer alike. */
const aboutRow = ({ action, toolset, server, tool, resource }: Row, policySets: readonly DeclaredPolicies[]): string =>
  JSON.stringify(
    policySets.flatMap(({ name, rego }) => {
      const isAbout =
        rego &&
        (action === 'callTool'
          ? isAboutTool(rego.tools, { toolset: toolset ?? '', server: server ?? '', tool: tool ?? '' })
          : action === 'applyResource' && rego.manifests.includes(resource?.split('/')[0] ?? ''));
      return isAbout ? [[name, rego.modules, rego.timeLimitMs]] : [];
    }),
  );

/**
 * What Rego would say of a recorded call or change. Arguments and manifests are not on record, so it can be told where there is none, and where
 * it is the same as then.
 * @param then - the policies that decided; the row says what their Rego said
 * @param now - those that are tried
 * @returns the refusal, `pass`, or undefined where it cannot be told
 */
export const regoAgain = (
  row: Row,
  then: readonly DeclaredPolicies[],
  now: readonly DeclaredPolicies[],
): RegoOutcome | 'pass' | undefined => {
  const about = aboutRow(row, now);
  if (about === '[]') return 'pass';
  const recorded = recordedRego(row);
  return about === aboutRow(row, then) && recorded.length > 0 ? (refusalIn(recorded) ?? 'pass') : undefined;
};
