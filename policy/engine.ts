import {
  type PolicySet as CedarPolicySet,
  type Context,
  checkParsePolicySet,
  type DetailedError,
  type EntityJson,
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  statefulIsAuthorized,
  type TypeAndId,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs';
import { qualifiedName, type Tenancy } from '../schema/ids.ts';
import type { AccessBindingSpec } from '../schema/resources/access.ts';
import { cedarSchema } from './cedar-schema.ts';
import { entityUid } from './entities.ts';
import { bindingTargets, bindingTemplates, platformPolicies } from './platform-policies.ts';

const schemaName = 'quarterdeck';

export type PolicyIssue = { name: string; message: string; line?: number; column?: number };
/** What a project declares: Cedar texts and bindings, each with its resource's name. */
export type ProjectPolicies = { policySets: { name: string; cedar: string }[]; bindings: { name: string; spec: AccessBindingSpec }[] };

export type PolicyRequest = { principal: TypeAndId; action: string; resource: TypeAndId; context: Context; entities: EntityJson[] };
/**
 * `advice` is what the refusing policies say should be done. `error` is set where the decision could not be made: that is a deny too.
 */
export type PolicyDecision = { effect: 'allow' | 'deny'; policies: string[]; advice: string[]; error?: string };

type Compiled = { id: string; source: string; advice: ReadonlyMap<string, string> };

const positionOf = (text: string, offset: number): { line: number; column: number } => {
  const before = Buffer.from(text).subarray(0, offset).toString();
  const lines = before.split('\n');
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
};

const issueOf = (name: string, text: string | undefined, error: DetailedError): PolicyIssue => {
  const start = error.sourceLocations?.[0]?.start;
  const message = error.help ? `${error.message} (${error.help})` : error.message;
  return { name, message, ...(text !== undefined && start !== undefined ? positionOf(text, start) : {}) };
};

/** Splits the text of a PolicySet into policies with ids: its `@id`, else its number. */
const partsOf = (name: string, cedar: string): { ok: true; policies: Record<string, string> } | { ok: false; issues: PolicyIssue[] } => {
  const checked = checkParsePolicySet({ staticPolicies: cedar });
  if (checked.type === 'failure') return { ok: false, issues: checked.errors.map((error) => issueOf(name, cedar, error)) };
  const parts = policySetTextToParts(cedar);
  if (parts.type === 'failure') return { ok: false, issues: parts.errors.map((error) => issueOf(name, cedar, error)) };
  if (parts.policy_templates.length > 0)
    return {
      ok: false,
      issues: [{ name, message: 'templates are for AccessBindings; write policies without `?principal` and `?resource`' }],
    };
  const policies: Record<string, string> = {};
  for (const [index, text] of parts.policies.entries()) {
    const json = policyToJson(text);
    const id = `policyset/${name}/${(json.type === 'success' && json.json.annotations?.id) || index + 1}`;
    if (id in policies) return { ok: false, issues: [{ name, message: `two policies have the id ${id}` }] };
    policies[id] = text;
  }
  return { ok: true, policies };
};

const linksOf = (tenancy: Tenancy, { name, spec }: ProjectPolicies['bindings'][number]) =>
  spec.subjects.flatMap((subject) => {
    const principal =
      'group' in subject
        ? entityUid('Group', `${tenancy.org}/${subject.group}`)
        : 'person' in subject
          ? entityUid('User', `${tenancy.org}/${subject.person}`)
          : entityUid('AgentRole', qualifiedName(tenancy, subject.agentRole));
    return (Object.keys(bindingTemplates) as (keyof typeof bindingTemplates)[]).flatMap((list) =>
      spec[list].map((target) => ({
        templateId: `template/${list}`,
        newId: `binding/${name}/${Object.entries(subject)[0]?.join('/')}/${list}/${target}`,
        values: { '?principal': principal, '?resource': entityUid(bindingTargets[list], qualifiedName(tenancy, target)) },
      })),
    );
  });

/** Puts the platform's policies, a project's and its bindings together, or says what is wrong with them. */
const assemble = (tenancy: Tenancy, project: ProjectPolicies): { ok: true; set: CedarPolicySet } | { ok: false; issues: PolicyIssue[] } => {
  const staticPolicies: Record<string, string> = { ...platformPolicies };
  const issues: PolicyIssue[] = [];
  for (const { name, cedar } of project.policySets) {
    const parts = partsOf(name, cedar);
    // the first part of an id says whose it is, so nothing of a tenant can stand in the place of a guard
    if (parts.ok) Object.assign(staticPolicies, parts.policies);
    else issues.push(...parts.issues);
  }
  if (issues.length > 0) return { ok: false, issues };
  const templates = Object.fromEntries(Object.entries(bindingTemplates).map(([list, text]) => [`template/${list}`, text]));
  const templateLinks = [
    ...new Map(project.bindings.flatMap((binding) => linksOf(tenancy, binding)).map((link) => [link.newId, link])).values(),
  ];
  const set: CedarPolicySet = { staticPolicies, templates, templateLinks };
  const result = validate({ schema: cedarSchema, policies: set, validationSettings: { mode: 'strict' } });
  if (result.type === 'failure') return { ok: false, issues: result.errors.map((error) => issueOf('policies', undefined, error)) };
  if (result.validationErrors.length > 0)
    return { ok: false, issues: result.validationErrors.map(({ policyId, error }) => issueOf(policyId, staticPolicies[policyId], error)) };
  return { ok: true, set };
};

const adviceOf = (staticPolicies: Record<string, string>): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(staticPolicies).flatMap(([id, text]) => {
      const json = policyToJson(text);
      const advice = json.type === 'success' ? json.json.annotations?.advice : undefined;
      return advice ? [[id, advice] as const] : [];
    }),
  );

/** Judges a project's policies without putting them into force. */
export const checkProjectPolicies = (tenancy: Tenancy, project: ProjectPolicies): { ok: true } | { ok: false; issues: PolicyIssue[] } => {
  const assembled = assemble(tenancy, project);
  return assembled.ok ? { ok: true } : assembled;
};

/**
 * Decides with Cedar, one pre-parsed policy set for each project. Deny by default; a forbid wins; any error, a project whose
 * policies were never loaded and a request that does not fit the schema are denies.
 */
export const createPolicyEngine = () => {
  const schema = preparseSchema(schemaName, cedarSchema);
  if (schema.type === 'failure') throw new Error(`the Cedar schema does not parse: ${schema.errors[0]?.message}`);
  const compiled = new Map<string, Compiled>();

  /** Puts a project's policies into force at once; bad ones are refused whole and the old ones stay. */
  const load = (tenancy: Tenancy, project: ProjectPolicies): { ok: true } | { ok: false; issues: PolicyIssue[] } => {
    const key = `${tenancy.org}/${tenancy.project}`;
    const source = JSON.stringify(project);
    if (compiled.get(key)?.source === source) return { ok: true };
    const assembled = assemble(tenancy, project);
    if (!assembled.ok) return assembled;
    // two ids in turn for each project: the last one stays in force while the next is parsed, and the cache does not grow
    const id = `${key}@${compiled.get(key)?.id.endsWith('@0') ? 1 : 0}`;
    const parsed = preparsePolicySet(id, assembled.set);
    if (parsed.type === 'failure') return { ok: false, issues: parsed.errors.map((error) => issueOf('policies', undefined, error)) };
    compiled.set(key, { id, source, advice: adviceOf(assembled.set.staticPolicies as Record<string, string>) });
    return { ok: true };
  };

  const decide = (tenancy: Tenancy, { principal, action, resource, context, entities }: PolicyRequest): PolicyDecision => {
    const policySet = compiled.get(`${tenancy.org}/${tenancy.project}`);
    if (!policySet)
      return { effect: 'deny', policies: [], advice: [], error: `no policies are loaded for ${tenancy.org}/${tenancy.project}` };
    const answer = statefulIsAuthorized({
      principal,
      action: { type: 'Quarterdeck::Action', id: action },
      resource,
      context,
      entities,
      preparsedSchemaName: schemaName,
      preparsedPolicySetId: policySet.id,
      validateRequest: true,
    });
    if (answer.type === 'failure')
      return { effect: 'deny', policies: [], advice: [], error: answer.errors.map((error) => error.message).join('; ') };
    const { decision, diagnostics } = answer.response;
    if (diagnostics.errors.length > 0)
      return {
        effect: 'deny',
        policies: diagnostics.errors.map((error) => error.policyId),
        advice: [],
        error: diagnostics.errors.map(({ error }) => error.message).join('; '),
      };
    const policies = [...diagnostics.reason].sort();
    return { effect: decision, policies, advice: decision === 'deny' ? policies.flatMap((id) => policySet.advice.get(id) ?? []) : [] };
  };

  return { load, decide };
};
export type PolicyEngine = ReturnType<typeof createPolicyEngine>;
