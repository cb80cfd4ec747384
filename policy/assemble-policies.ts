import {
  type PolicySet as CedarPolicySet,
  checkParsePolicySet,
  type DetailedError,
  policySetTextToParts,
  policyToJson,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs';
import { qualifiedName, type Tenancy } from '../schema/ids.ts';
import type { AccessBindingSpec } from '../schema/resources/access.ts';
import type { PolicyHook } from '../schema/resources/policy-hook.ts';
import type { DeclaredRego } from '../schema/resources/rego.ts';
import { type AnnotatedRule, approvalRules, readApprovalRule } from './approval-rules.ts';
import { cedarSchema } from './cedar-schema.ts';
import { entityUid } from './entities.ts';
import { bindingTargets, bindingTemplates, platformPolicies } from './platform-policies.ts';

export type PolicyIssue = { name: string; message: string; line?: number; column?: number };
/** What a PolicySet says beside its golden decisions; its Rego and its hooks are asked after its policies. */
export type DeclaredPolicies = { name: string; cedar: string; hooks?: PolicyHook[]; rego?: DeclaredRego };
/** What a project declares: Cedar texts and bindings, each with its resource's name. */
export type ProjectPolicies = { policySets: DeclaredPolicies[]; bindings: { name: string; spec: AccessBindingSpec }[] };

const positionOf = (text: string, offset: number): { line: number; column: number } => {
  const before = Buffer.from(text).subarray(0, offset).toString();
  const lines = before.split('\n');
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
};

export const issueOf = (name: string, text: string | undefined, error: DetailedError): PolicyIssue => {
  const start = error.sourceLocations?.[0]?.start;
  const message = error.help ? `${error.message} (${error.help})` : error.message;
  return { name, message, ...(text !== undefined && start !== undefined ? positionOf(text, start) : {}) };
};

/** The validator says the same of each action that a policy is about; once is enough. */
const onePerPlace = (issues: readonly PolicyIssue[]): PolicyIssue[] =>
  [...new Map(issues.toReversed().map((issue) => [`${issue.name} ${issue.line} ${issue.column}`, issue])).values()].reverse();

/** Splits the text of a PolicySet into policies with ids: its `@id`, else its number. Each text is a part of the whole, in its order. */
export const splitPolicySet = (
  name: string,
  cedar: string,
): { ok: true; policies: Record<string, string> } | { ok: false; issues: PolicyIssue[] } => {
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
    const reading = json.type === 'success' ? readApprovalRule(id, json.json) : undefined;
    if (reading && 'problem' in reading) {
      const place = positionOf(cedar, Buffer.byteLength(cedar.slice(0, Math.max(0, cedar.indexOf(text)))));
      return { ok: false, issues: [{ name, message: `policy ${id}: ${reading.problem}`, ...place }] };
    }
  }
  return { ok: true, policies };
};

/** The policies, templates and vocabulary of a release of the platform; others than this one's when an old decision is made again. */
export type PlatformPolicies = {
  schema: string;
  policies: Readonly<Record<string, string>>;
  templates: Readonly<Record<BindingList, string>>;
};
type BindingList = keyof typeof bindingTemplates;

export const currentPlatform: PlatformPolicies = { schema: cedarSchema, policies: platformPolicies, templates: bindingTemplates };

/** What bindings link, with ids that say whose: the binding, one of its subjects and one thing that it grants. */
export const linksOf = (tenancy: Tenancy, { name, spec }: ProjectPolicies['bindings'][number]) =>
  spec.subjects.flatMap((subject) => {
    const principal =
      'group' in subject
        ? entityUid('Group', `${tenancy.org}/${subject.group}`)
        : 'person' in subject
          ? entityUid('User', `${tenancy.org}/${subject.person}`)
          : entityUid('AgentRole', qualifiedName(tenancy, subject.agentRole));
    return (Object.keys(bindingTargets) as BindingList[]).flatMap((list) =>
      spec[list].map((target) => ({
        templateId: `template/${list}`,
        newId: `binding/${name}/${Object.entries(subject)[0]?.join('/')}/${list}/${target}`,
        values: { '?principal': principal, '?resource': entityUid(bindingTargets[list], qualifiedName(tenancy, target)) },
      })),
    );
  });

/** Puts the platform's policies, a project's and its bindings together, or says what is wrong with them. */
export const assemblePolicies = (
  tenancy: Tenancy,
  project: ProjectPolicies,
  platform: PlatformPolicies = currentPlatform,
): { ok: true; set: CedarPolicySet } | { ok: false; issues: PolicyIssue[] } => {
  const staticPolicies: Record<string, string> = { ...platform.policies };
  const issues: PolicyIssue[] = [];
  for (const { name, cedar } of project.policySets) {
    const parts = splitPolicySet(name, cedar);
    // the first part of an id says whose it is, so nothing of a tenant can stand in the place of a guard
    if (parts.ok) Object.assign(staticPolicies, parts.policies);
    else issues.push(...parts.issues);
  }
  if (issues.length > 0) return { ok: false, issues };
  const templates = Object.fromEntries(Object.entries(platform.templates).map(([list, text]) => [`template/${list}`, text]));
  const templateLinks = [
    ...new Map(project.bindings.flatMap((binding) => linksOf(tenancy, binding)).map((link) => [link.newId, link])).values(),
  ];
  const set: CedarPolicySet = { staticPolicies, templates, templateLinks };
  const result = validate({ schema: platform.schema, policies: set, validationSettings: { mode: 'strict' } });
  if (result.type === 'failure') return { ok: false, issues: result.errors.map((error) => issueOf('policies', undefined, error)) };
  if (result.validationErrors.length > 0)
    return {
      ok: false,
      issues: onePerPlace(result.validationErrors.map(({ policyId, error }) => issueOf(policyId, staticPolicies[policyId], error))),
    };
  return { ok: true, set };
};

/** Judges a project's policies without putting them into force. */
export const checkProjectPolicies = (tenancy: Tenancy, project: ProjectPolicies): { ok: true } | { ok: false; issues: PolicyIssue[] } => {
  const assembled = assemblePolicies(tenancy, project);
  return assembled.ok ? { ok: true } : assembled;
};

/** The rules of a project's PolicySets that ask for people, by the ids of their policies. */
export const projectApprovalRules = ({ policySets }: Pick<ProjectPolicies, 'policySets'>): ReadonlyMap<string, AnnotatedRule> => {
  const texts = policySets.flatMap(({ name, cedar }) => {
    const parts = splitPolicySet(name, cedar);
    return parts.ok ? Object.entries(parts.policies) : [];
  });
  return approvalRules(
    new Map(
      texts.flatMap(([id, text]) => {
        const json = policyToJson(text);
        return json.type === 'success' ? [[id, json.json] as const] : [];
      }),
    ),
  );
};
