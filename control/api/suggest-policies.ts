import { type ProjectPolicies, projectApprovalRules } from '../../policy/assemble-policies.ts';
import { entityUid } from '../../policy/entities.ts';
import { type SuggestedGrant, suggestGrants } from '../../policy/suggest-policies.ts';
import { PlatformError } from '../../schema/errors.ts';
import { qualifiedName, type Tenancy } from '../../schema/ids.ts';
import type { GrantChange, PolicySuggestion, SuggestQuery } from '../../schema/policy-suggestion.ts';
import { type Resource, type ResourceOf, resourceSchemas } from '../../schema/resource.ts';
import { apiVersion } from '../../schema/resources/metadata.ts';
import type { Database } from '../../store/database.ts';
import { listDecidedRows } from '../../store/decided-rows.ts';
import { declaredFrom, projectPolicies } from '../../store/declared.ts';
import { listDefinitions } from '../../store/definitions.ts';
import { listResources } from '../../store/resources.ts';
import { type GrantableThing, grantableThings } from './grantable-things.ts';
import { type RecordedDecision, readDecisions } from './recorded-decision.ts';
import { removalNotes } from './removal-notes.ts';
import { compareDecisions, retry } from './try-policies.ts';

type Binding = ResourceOf<'AccessBinding'>;
const longestName = 63;

const nameFor = (role: string): string => `least-${role}`.slice(0, longestName).replace(/-+$/, '');

/** A binding as it would be without one agent role: null where nobody is left, itself where the role is not in it. */
const withoutRole = (binding: Binding, role: string): Binding | null => {
  const subjects = binding.spec.subjects.filter((subject) => !('agentRole' in subject && subject.agentRole === role));
  return subjects.length === 0 ? null : { ...binding, spec: { ...binding.spec, subjects } };
};

const asWritten = <R extends Resource>({ apiVersion, kind, metadata, spec }: R) => ({ apiVersion, kind, metadata, spec }) as R;

const changedBindings = (resources: readonly Resource[], role: string): PolicySuggestion['bindings'] =>
  resources
    .filter((resource) => resource.kind === 'AccessBinding')
    .filter(({ spec }) => spec.subjects.some((subject) => 'agentRole' in subject && subject.agentRole === role))
    .map((binding) => ({ name: binding.metadata.name, after: withoutRole(asWritten(binding), role) }));

const applied = (today: ProjectPolicies, policySet: ResourceOf<'PolicySet'>, bindings: PolicySuggestion['bindings']): ProjectPolicies => {
  const changed = new Map(bindings.map(({ name, after }) => [name, after]));
  return {
    policySets: [
      ...today.policySets.filter(({ name }) => name !== policySet.metadata.name),
      { name: policySet.metadata.name, cedar: policySet.spec.cedar },
    ],
    bindings: today.bindings.flatMap((binding) => {
      if (!changed.has(binding.name)) return [binding];
      const after = changed.get(binding.name);
      return after ? [{ name: binding.name, spec: after.spec }] : [];
    }),
  };
};

const nameOf = (id: string): string => id.split('/').slice(2).join('/');
const changeOf = ({ type, id, toolset }: GrantableThing, by: string[]): GrantChange => ({ type, name: nameOf(id), toolset, by });

const policySetOf = ({ org, project }: Tenancy, role: string, grants: readonly SuggestedGrant[], calls: number) =>
  resourceSchemas.PolicySet.parse({
    apiVersion,
    kind: 'PolicySet',
    metadata: { name: nameFor(role), org, project },
    spec: {
      description: `The least privilege that ${calls} recorded calls of the agent role ${role} needed.`,
      cedar: grants.map(({ cedar }) => cedar).join('\n\n'),
    },
  });

/** Which of all that there is the role may use today, and would no longer, or would still. */
const compareGrants = async (
  tenancy: Tenancy,
  things: readonly GrantableThing[],
  needed: ReadonlySet<string>,
  policies: { tried: ProjectPolicies; today: ProjectPolicies },
): Promise<Pick<PolicySuggestion, 'takenAway' | 'stillAllowed'>> => {
  const decisions = await compareDecisions(
    things.map(({ asked }) => asked),
    tenancy,
    policies,
  );
  const allowedToday = things.flatMap((thing, index) => {
    const decision = decisions[index];
    return decision?.today.effect === 'allow' ? [{ thing, ...decision }] : [];
  });
  return {
    takenAway: allowedToday.filter(({ tried }) => tried.effect !== 'allow').map(({ thing, today }) => changeOf(thing, today.policies)),
    stillAllowed: allowedToday
      .filter(({ thing, tried }) => tried.effect === 'allow' && !needed.has(`${thing.type} ${thing.id}`))
      .map(({ thing, tried }) => changeOf(thing, tried.policies)),
  };
};

const allowedCalls = async (database: Database, tenancy: Tenancy, role: string, { since, limit }: SuggestQuery) => {
  const rows = await listDecidedRows(database, tenancy, { since: since === undefined ? undefined : new Date(since), limit, role });
  const read = await readDecisions(database, tenancy, rows);
  const isOwn = ({ basis, bundle }: RecordedDecision): boolean =>
    basis.effect === 'allow' && bundle.org === tenancy.org && bundle.project === tenancy.project;
  return read.flatMap((each) => ('recorded' in each && isOwn(each.recorded) ? [each.recorded] : []));
};

/**
 * The permits of PolicySets that let a call through only because people approved it. They stay in force beside what is suggested, and a
 * permit of the same call without them would do away with the approval.
 */
const approvedByOf = ({ asked, row, bundle }: RecordedDecision): string[] => {
  if (asked.context.approvedCall !== true) return [];
  const rules = projectApprovalRules(bundle);
  return row.policies.every((id) => rules.has(id)) ? row.policies : [];
};

/**
 * Suggests the least privilege for an agent role: what its recorded calls needed, as a PolicySet of permits in the place of its bindings.
 * @throws {PlatformError} `not_found` where no allowed call of the role is on record
 */
export const suggestPolicies = async (
  database: Database,
  tenancy: Tenancy,
  role: string,
  query: SuggestQuery,
): Promise<PolicySuggestion> => {
  const recorded = await allowedCalls(database, tenancy, role, query);
  const calls = recorded.map((each) => ({ asked: each.asked, at: each.row.at, approvedBy: approvedByOf(each) }));
  const grants = suggestGrants(entityUid('AgentRole', qualifiedName(tenancy, role)), calls);
  const removed = await removalNotes(database, tenancy, ['audit', 'decisionFacts'], query.since);
  const [first, newest] = [recorded[0], recorded.at(-1)];
  if (!first || !newest || grants.length === 0)
    throw new PlatformError(
      'not_found',
      `The audit of ${tenancy.org}/${tenancy.project} has no allowed call of agents of the role ${role} in that time; look further back, or run a fleet with it first.${removed.map((note) => ` ${note}`).join('')}`,
    );
  const resources = await listResources(database, tenancy);
  const today = projectPolicies(declaredFrom(resources, []), tenancy);
  const policySet = policySetOf(tenancy, role, grants, calls.length);
  const bindings = changedBindings(resources, role);
  const policies = { tried: applied(today, policySet, bindings), today };
  const { retried } = await retry(recorded, tenancy, policies);
  const things = grantableThings(tenancy, resources, await listDefinitions(database, tenancy), newest.asked);
  return {
    role,
    calls: calls.length,
    firstAt: first.row.at,
    lastAt: newest.row.at,
    policySet,
    bindings,
    ...(await compareGrants(tenancy, things, new Set(grants.map(({ type, id }) => `${type} ${id}`)), policies)),
    narrowed: grants.map(({ type, id, calls, conditions, notes }) => ({ type, name: nameOf(id), calls, conditions, notes })),
    check: {
      allowed: retried.filter(({ tried }) => tried.effect === 'allow').length,
      refused: retried
        .filter(({ tried }) => tried.effect !== 'allow')
        .map(({ row, tried }) => ({ decisionId: row.decisionId, by: tried.policies, needsPerson: tried.effect === 'needsPerson' })),
    },
    notes: removed,
  };
};
