import { hash } from 'node:crypto';
import {
  type AuthorizationAnswer,
  type Context,
  type EntityJson,
  type PolicyJson,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  statefulIsAuthorized,
  type TypeAndId,
  templateToJson,
} from '@cedar-policy/cedar-wasm/nodejs';
import type { Tenancy } from '../schema/ids.ts';
import { applyingReads, type ConditionalPolicy, conditionalPolicies, placedActions } from './applying-reads.ts';
import { type AnnotatedRule, approvalRules, asApproved, canNeedPerson } from './approval-rules.ts';
import { assemblePolicies, issueOf, type PolicyIssue, type ProjectPolicies } from './assemble-policies.ts';
import { cedarSchema } from './cedar-schema.ts';
import { createDecisionCache } from './decision-cache.ts';
import { bundleOf, type PolicyBundle } from './decision-record.ts';
import { createShapes } from './decision-shape.ts';
import { forAnyArguments } from './for-any-arguments.ts';
import type { KnownRequest } from './known.ts';
import { orNeedsPerson } from './or-needs-person.ts';
import { bindingTemplates, platformPolicies } from './platform-policies.ts';
import type { PolicyDecision } from './policy-decision.ts';
import type { Read } from './policy-reads.ts';
import { createRecentMap } from './recent-map.ts';
import { type EntityMap, entityMap, sliceEntities } from './slice-entities.ts';
import { wholeContext } from './whole-context.ts';

const schemaName = 'quarterdeck';
/** Shapes of requests in each half of their cache, and the characters of one: a decision on longer values is made anew each time. */
const mostShapes = 10_000;
const longestShape = 4096;
/** All of what is decided by that is not a project's own. */
const platformText = JSON.stringify([cedarSchema, platformPolicies, bindingTemplates]);

export type PolicyRequest = {
  principal: TypeAndId;
  action: string;
  resource: TypeAndId;
  context: Context;
  entities: EntityJson[];
  /** Asks whether any call could be allowed: what a list cannot know of the request decides nothing. */
  forAnyArguments?: boolean;
};
/** A policy set as Cedar holds it, by id. */
type Parsed = { id: string; conditional: readonly ConditionalPolicy[]; shapeOf: ReturnType<typeof createShapes> };
type Compiled = {
  source: string;
  /** Says which policies these are: no two loads have the same. */
  generation: number;
  /** Names these policies, of the platform and of the project together, to whoever reads a decision later. */
  version: string;
  bundle: PolicyBundle;
  advice: ReadonlyMap<string, string>;
  approvalRules: ReadonlyMap<string, AnnotatedRule>;
  /** Whether any of the policies asks how the caller has logged in. */
  readsLogin: boolean;
  exact: Parsed;
  forAnyArguments: Parsed;
};

const adviceOf = (policies: ReadonlyMap<string, PolicyJson>): ReadonlyMap<string, string> =>
  new Map([...policies].flatMap(([id, { annotations }]) => (annotations?.advice ? [[id, annotations.advice] as const] : [])));

const jsonOf = (answer: ReturnType<typeof policyToJson>): PolicyJson => {
  if (answer.type === 'failure') throw new Error(`a policy that was parsed has no JSON: ${answer.errors[0]?.message}`);
  return answer.json;
};

const decisionOf = (answer: AuthorizationAnswer, { advice, bundle }: Pick<Compiled, 'advice' | 'bundle'>): PolicyDecision => {
  if (answer.type === 'failure')
    return { effect: 'deny', policies: [], advice: [], bundle, error: answer.errors.map((error) => error.message).join('; ') };
  const { decision, diagnostics } = answer.response;
  if (diagnostics.errors.length > 0)
    return {
      effect: 'deny',
      policies: diagnostics.errors.map((error) => error.policyId),
      advice: [],
      bundle,
      error: diagnostics.errors.map(({ error }) => error.message).join('; '),
    };
  const policies = [...diagnostics.reason].sort();
  return { effect: decision, policies, advice: decision === 'deny' ? policies.flatMap((id) => advice.get(id) ?? []) : [], bundle };
};

/**
 * Decides with Cedar, one pre-parsed policy set for each project. Deny by default; a forbid wins; any error, a project whose
 * policies were never loaded and a request that does not fit the schema are denies.
 * @param options.name - tells the engines of a process apart: Cedar keeps what was parsed under names that all of them share
 */
export const createPolicyEngine = ({ name = 'live' }: { name?: string } = {}) => {
  const schema = preparseSchema(schemaName, cedarSchema);
  if (schema.type === 'failure') throw new Error(`the Cedar schema does not parse: ${schema.errors[0]?.message}`);
  const actions = placedActions();
  const compiled = new Map<string, Compiled>();
  const cache = createDecisionCache();
  const shapes = createRecentMap<PolicyDecision>(mostShapes);
  let generation = 0;

  /** Puts a project's policies into force at once; bad ones are refused whole and the old ones stay. */
  const load = (tenancy: Tenancy, project: ProjectPolicies): { ok: true } | { ok: false; issues: PolicyIssue[] } => {
    const key = `${tenancy.org}/${tenancy.project}`;
    const source = JSON.stringify(project);
    if (compiled.get(key)?.source === source) return { ok: true };
    const assembled = assemblePolicies(tenancy, project);
    if (!assembled.ok) return assembled;
    const policies = new Map(
      Object.entries(assembled.set.staticPolicies as Record<string, string>).map(([id, text]) => [id, jsonOf(policyToJson(text))]),
    );
    // the policies as far as they decide before the arguments of a call are known; templates have no conditions
    const open = new Map([...policies].map(([id, policy]) => [id, forAnyArguments(policy)]));
    // two ids in turn for each project: the last one stays in force while the next is parsed, and the cache does not grow
    const id = `${name} ${key}@${compiled.get(key)?.exact.id.endsWith('@0') ? 1 : 0}`;
    for (const [parsedId, set] of [
      [`any ${id}`, { ...assembled.set, staticPolicies: Object.fromEntries(open) }],
      [id, assembled.set],
    ] as const) {
      const parsed = preparsePolicySet(parsedId, set);
      if (parsed.type === 'failure') return { ok: false, issues: parsed.errors.map((error) => issueOf('policies', undefined, error)) };
    }
    const templates = new Map(Object.entries(bindingTemplates).map(([list, text]) => [`template/${list}`, jsonOf(templateToJson(text))]));
    generation += 1;
    const parsedAs = (id: string, policies: ReadonlyMap<string, PolicyJson>): Parsed => ({
      id,
      conditional: conditionalPolicies([...policies.values(), ...templates.values()]),
      shapeOf: createShapes(assembled.set, policies.values(), templates),
    });
    compiled.set(key, {
      source,
      generation,
      version: hash('sha256', `${platformText}\n${source}`, 'hex').slice(0, 16),
      bundle: bundleOf(tenancy, project),
      advice: adviceOf(policies),
      approvalRules: approvalRules(policies),
      readsLogin: [...policies.values()].some(({ conditions }) => JSON.stringify(conditions).includes('"login"')),
      exact: parsedAs(id, policies),
      forAnyArguments: parsedAs(`any ${id}`, open),
    });
    return { ok: true };
  };

  /** Denies all in a project from now on, as before its policies were loaded. */
  const unload = ({ org, project }: Tenancy): void => void compiled.delete(`${org}/${project}`);

  const setFor = (compiled: Compiled, { forAnyArguments }: Pick<PolicyRequest, 'forAnyArguments'>): Parsed =>
    forAnyArguments ? compiled.forAnyArguments : compiled.exact;

  const readsFor = (policies: Parsed, { principal, action, resource }: PolicyRequest, entities: EntityMap): Read[] | undefined =>
    applyingReads(policies.conditional, entities, { principal, action: actions.get(action), resource });

  const askCedar = (compiled: Compiled, request: PolicyRequest, entities: EntityMap, reads: Read[] | undefined): PolicyDecision => {
    const { principal, action, resource } = request;
    const answer = statefulIsAuthorized({
      principal,
      action: { type: 'Quarterdeck::Action', id: action },
      resource,
      context: wholeContext(action, request.context),
      entities: reads ? sliceEntities(entities, reads, request) : [...entities.values()],
      preparsedSchemaName: schemaName,
      preparsedPolicySetId: setFor(compiled, request).id,
      validateRequest: true,
    });
    return decisionOf(answer, compiled);
  };

  const ask = (compiled: Compiled, request: PolicyRequest, entities: EntityMap, reads: Read[] | undefined): PolicyDecision => {
    const decision = askCedar(compiled, request, entities, reads);
    if (!canNeedPerson(request) || compiled.approvalRules.size === 0) return decision;
    const approved = { ...request, context: asApproved(request.context) };
    return orNeedsPerson(decision, compiled.approvalRules, () => askCedar(compiled, approved, entities, reads));
  };

  /** What Cedar said of a request that is the same to all policies, or says of this one. */
  const askAlike = (compiled: Compiled, request: PolicyRequest, entities: EntityMap, reads: Read[]): PolicyDecision => {
    const policies = setFor(compiled, request);
    const action = actions.get(request.action);
    const shape = action && policies.shapeOf({ ...request, action }, entities);
    if (shape === undefined || shape.length > longestShape) return ask(compiled, request, entities, reads);
    const key = `${compiled.generation} ${policies.id}\n${shape}`;
    const alike = shapes.get(key);
    if (alike) return alike;
    const decision = ask(compiled, request, entities, reads);
    if (!decision.error) shapes.set(key, decision);
    return decision;
  };

  const notLoaded = ({ org, project }: Tenancy): PolicyDecision => ({
    effect: 'deny',
    policies: [],
    advice: [],
    error: `no policies are loaded for ${org}/${project}`,
  });

  const decide = (tenancy: Tenancy, request: PolicyRequest): PolicyDecision => {
    const policies = compiled.get(`${tenancy.org}/${tenancy.project}`);
    if (!policies) return notLoaded(tenancy);
    const entities = entityMap(request.entities);
    return ask(policies, request, entities, readsFor(setFor(policies, request), request, entities));
  };

  /**
   * The same decision, remembered: for a request that was made before as far as the applying policies look, or that they find out the
   * same of as of another, Cedar is not asked again.
   * What could not be decided is not remembered. The returned decision is shared, and frozen.
   */
  const decideKnown = (tenancy: Tenancy, known: KnownRequest): PolicyDecision => {
    const policies = compiled.get(`${tenancy.org}/${tenancy.project}`);
    if (!policies) return notLoaded(tenancy);
    const found = cache.find(policies.generation, known);
    if (found) return found;
    const { principal, resource, surroundings, ...rest } = known;
    const entities = entityMap(surroundings.entities, principal.entities, resource.entities);
    const request = { ...rest, principal: principal.uid, resource: resource.uid, entities: [] };
    const reads = readsFor(setFor(policies, request), request, entities);
    if (!reads) return ask(policies, request, entities, reads);
    const decision = askAlike(policies, request, entities, reads);
    if (!decision.error) cache.remember(policies.generation, known, decision, reads);
    return decision;
  };

  return {
    load,
    unload,
    decide,
    decideKnown,
    /** Whether a decision may depend on how the caller has logged in: else nobody needs to say. */
    readsLogin: ({ org, project }: Tenancy): boolean => compiled.get(`${org}/${project}`)?.readsLogin ?? false,
    /** Which policies are in force: 16 hexadecimal digits, the same as long as they are the same. */
    versionOf: ({ org, project }: Tenancy): string | undefined => compiled.get(`${org}/${project}`)?.version,
  };
};
export type PolicyEngine = ReturnType<typeof createPolicyEngine>;
