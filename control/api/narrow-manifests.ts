import type { RegoPolicies } from '../../policy/rego/rego-policies.ts';
import { refusalIn, refusalText } from '../../policy/rego/rego-policies.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { Resource } from '../../schema/resource.ts';
import type { RegoOutcome } from '../../schema/resources/rego.ts';
import type { Person } from '../../store/people.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
import { recordBasis } from './record-basis.ts';

/**
 * Has the Rego of a project judge a resource that its policies let a person apply. It may refuse; whatever gives no usable answer refuses,
 * and the refusal is on record before the person hears of it.
 * @returns what was asked, for the record of the change; empty where nothing was
 * @throws {PlatformError} `not_permitted`
 */
export const createManifestNarrowing =
  ({
    rego,
    database,
    audit,
    clock,
  }: { rego: Pick<RegoPolicies, 'isIdle' | 'aboutManifest' | 'ask'> } & Pick<ApiDependencies, 'database' | 'audit' | 'clock'>) =>
  async (person: Person, { kind, metadata, ...rest }: Resource, decision: ApiDecision): Promise<RegoOutcome[]> => {
    if (rego.isIdle()) return [];
    const { org, project } = metadata;
    const about = rego.aboutManifest({ org, project }, kind);
    if (about.length === 0) return [];
    const outcomes = await rego.ask(about, {
      version: 1,
      kind: 'manifest',
      ...{ org, project },
      atSeconds: Math.floor(clock().getTime() / 1000),
      principal: { kind: 'person', id: `${person.org}/${person.id}`, person: person.id, role: '', fleet: '', run: '' },
      manifest: { kind, metadata, ...rest },
    });
    const refusal = refusalIn(outcomes);
    if (!refusal) return outcomes;
    const { decisionId, policyVersion } = decision;
    await audit.append(database, [
      {
        ...{ org, project },
        kind: 'refusal',
        action: 'applyResource',
        decision: 'deny',
        decisionId,
        policies: refusal.rules,
        policyVersion: policyVersion ?? null,
        person: person.id,
        resource: `${kind}/${metadata.name}`,
        outcome: 'refused',
        errorCode: 'not_permitted',
        stamp: person.stamp,
        basis: await recordBasis(database, { org, project }, decision),
        facts: { rego: outcomes },
      },
    ]);
    throw new PlatformError(
      'not_permitted',
      `${kind} ${metadata.name}: ${refusalText(refusal)} (decision ${decisionId}). Nothing was applied.`,
      {
        facts: { decisionId, rule: refusal.rules.join(', ') },
      },
    );
  };
