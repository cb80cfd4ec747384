import type { Kind, Resource, StoredResource } from '../../schema/resource.ts';
import type { RegoOutcome } from '../../schema/resources/rego.ts';
import type { Database } from '../../store/database.ts';
import type { Person } from '../../store/people.ts';
import { type ApplyAction, applyResources, compareResource, listResources, setCondition } from '../../store/resources.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
import { checkDiagnosers } from './check-diagnosers.ts';
import { checkPolicies, checkReferences, checkShapes, checkTogether, keyOf } from './check-documents.ts';
import { checkOverlaps } from './check-overlaps.ts';
import { checkUnpublished } from './check-unpublished.ts';
import type { DocumentIssue } from './document-issue.ts';
import type { GuardedChanges, Loosened } from './guarded-changes.ts';
import { inTransaction } from './in-transaction.ts';
import { createManifestNarrowing } from './narrow-manifests.ts';
import type { Permit } from './permit.ts';
import { recordChange } from './record-change.ts';

/** Kinds that are usable as soon as what they mention is there; of the others the gateway says when they are ready. */
const plainKinds: ReadonlySet<Kind> = new Set([
  'Project',
  'Provider',
  'Model',
  'AgentRole',
  'Fleet',
  'AccessBinding',
  'PolicySet',
  'IdentityProvider',
  'OAuthClient',
  'ReconcileTarget',
  'ReconcileRule',
]);

type Change = { kind: Kind; org: string; project: string; name: string; action: ApplyAction };
export type AppliedResource = Change & { generation: number };
export type ComparedResource = Change & { before: StoredResource | null; after: Resource };
type Outcome<T> = { ok: true; results: T[] } | { ok: false; issues: DocumentIssue[] };
type Checked = {
  ok: true;
  wanted: Resource[];
  decisions: ApiDecision[];
  loosened: (Loosened | undefined)[];
  stored: ReadonlyMap<string, StoredResource>;
};

const changeOf = ({ kind, metadata: { org, project, name } }: Resource, action: ApplyAction): Change => ({
  kind,
  org,
  project,
  name,
  action,
});

const storedByKey = async (database: Database, org: string): Promise<Map<string, StoredResource>> =>
  new Map((await listResources(database, { org })).map((resource) => [keyOf(resource.kind, resource.metadata), resource]));

/** Says of a resource that was just stored what is known of it at once. */
export const setFirstConditions = async (database: Database, { kind, metadata, generation }: StoredResource, now: Date): Promise<void> => {
  const { org, project, name } = metadata;
  const condition = { status: 'True' as const, observedGeneration: generation };
  const key = { org, project, kind, name };
  await setCondition(database, key, { ...condition, type: 'Accepted', reason: 'Valid', message: 'The declaration is valid.' }, now);
  if (!plainKinds.has(kind)) return;
  const message = 'Everything it mentions is declared.';
  await setCondition(database, key, { ...condition, type: 'Ready', reason: 'ReferencesResolved', message }, now);
};

/** Applies documents for a person, all or none, and says what an apply would change. */
export const createDocuments = ({
  database,
  audit,
  validatePolicies,
  clock,
  rego,
  permit,
  guards,
}: Pick<ApiDependencies, 'database' | 'audit' | 'validatePolicies' | 'clock' | 'rego'> & { permit: Permit; guards: GuardedChanges }) => {
  const narrowManifest = createManifestNarrowing({ rego: rego.inForce, database, audit, clock });
  /** Shapes first, then whether the person may, then whatever would tell about other resources. */
  const check = async (
    person: Person,
    action: 'applyResource' | 'getResource',
    documents: unknown[],
  ): Promise<Checked | { ok: false; issues: DocumentIssue[] }> => {
    const { resources, issues } = checkShapes(documents);
    issues.push(...checkTogether(resources, person.org));
    if (issues.length > 0) return { ok: false, issues };
    const wanted = resources.filter((resource) => resource !== undefined);
    const decisions: ApiDecision[] = [];
    for (const { kind, metadata } of wanted) decisions.push(await permit(person, action, metadata, { kind, name: metadata.name }));
    const stored = await storedByKey(database, person.org);
    const loosened: Checked['loosened'] = [];
    if (action === 'applyResource')
      for (const resource of wanted)
        loosened.push(await guards.permitChange(person, resource.metadata, stored.get(keyOf(resource.kind, resource.metadata)), resource));
    issues.push(...checkReferences(wanted, new Set(stored.keys())), ...checkPolicies(wanted, validatePolicies));
    if (action === 'applyResource')
      issues.push(
        ...checkOverlaps(wanted, stored),
        ...(await checkUnpublished(database, wanted, stored)),
        ...(await checkDiagnosers(database, wanted, stored)),
      );
    return issues.length > 0 ? { ok: false, issues } : { ok: true, wanted, decisions, loosened, stored };
  };

  const compare = async (person: Person, documents: unknown[]): Promise<Outcome<ComparedResource>> => {
    const checked = await check(person, 'getResource', documents);
    if (!checked.ok) return checked;
    const results = checked.wanted.map((after) => {
      const before = checked.stored.get(keyOf(after.kind, after.metadata));
      return { ...changeOf(after, compareResource(before, after)), before: before ?? null, after };
    });
    return { ok: true, results };
  };

  const apply = async (person: Person, documents: unknown[], dryRun: boolean): Promise<Outcome<AppliedResource>> => {
    const checked = await check(person, 'applyResource', documents);
    if (!checked.ok) return checked;
    const { wanted, decisions, loosened, stored } = checked;
    const narrowed: RegoOutcome[][] = [];
    for (const [index, resource] of wanted.entries()) {
      const decision = decisions[index];
      const before = stored.get(keyOf(resource.kind, resource.metadata));
      const isChanged = compareResource(before, resource) !== 'unchanged';
      narrowed.push(decision && isChanged ? await narrowManifest(person, resource, decision) : []);
    }
    if (dryRun) {
      const results = wanted.map((resource) => {
        const before = stored.get(keyOf(resource.kind, resource.metadata));
        return { ...changeOf(resource, compareResource(before, resource)), generation: before?.generation ?? 0 };
      });
      return { ok: true, results };
    }
    const write = async (within: Database): Promise<Outcome<AppliedResource>> => {
      // somebody may have deleted what was there a moment ago, or declared a target of the same things
      const now = await storedByKey(within, person.org);
      const late = [...checkReferences(wanted, new Set(now.keys())), ...checkOverlaps(wanted, now)];
      if (late.length > 0) return { ok: false, issues: late };
      for (const [index, resource] of wanted.entries())
        guards.refuseUnseen(loosened[index], now.get(keyOf(resource.kind, resource.metadata)), resource);
      const results: AppliedResource[] = [];
      for (const [index, { resource, action }] of (await applyResources(within, wanted, person.id)).entries()) {
        const { kind, metadata, generation } = resource;
        await setFirstConditions(within, resource, clock());
        results.push({ ...changeOf(resource, action), generation });
        const decision = decisions[index];
        if (action === 'unchanged' || !decision) continue;
        const asked = narrowed[index] ?? [];
        const facts = { change: action, generation, ...loosened[index], ...(asked.length > 0 ? { rego: asked } : {}) };
        const what = { action: 'applyResource', resource: `${kind}/${metadata.name}`, facts };
        await recordChange(audit, within, metadata, person, decision, what);
      }
      return { ok: true, results };
    };
    return inTransaction(database, write, { lockOrg: person.org });
  };

  return { apply, compare };
};
