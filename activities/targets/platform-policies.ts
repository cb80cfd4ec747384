import { createPolicyEngine } from '../../policy/engine.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { ObservedObject, Symptom } from '../../schema/reconcile/observation.ts';
import { type Declared, loadDeclared, projectPolicies } from '../../store/declared.ts';
import { findLastGood, type PolicyRevision } from '../../store/policy-revisions.ts';
import type { PublishedContent } from '../../store/published-policies.ts';
import { digestOf } from './kubernetes-state.ts';
import { type PlatformContext, type PlatformPart, platformObject, platformRef, symptom } from './platform-context.ts';
import { gatewayReports } from './platform-servers.ts';

export const bundleRef = ({ project }: Tenancy) => platformRef('PolicyBundle', '', project);

export const setsIn = (declared: Declared, place: Tenancy): PolicyRevision['policySets'] =>
  declared.list('PolicySet', place).map(({ metadata: { name }, spec }) => ({ name, spec }));
export const digestOfSets = (sets: PolicyRevision['policySets']): string => digestOf(sets);

type Wanted = { ok: true; version: string } | { ok: false; message: string };

/**
 * The policies of the project as a whole: what they are to be, made out of what is declared or published by the same engine, against what each
 * gateway has in force. `PolicyInvalid`: they cannot be put into force at all, and a gateway that starts denies everything; `lastGood` is the
 * newest revision that could be, `declared` names what is declared. `PolicyMismatch`: a gateway decides by others, though it had the time to read them.
 */
export const createPlatformPolicies = (context: PlatformContext): PlatformPart => {
  let view: Declared | undefined;
  const engine = createPolicyEngine();

  const wantedOf = (declared: Declared, place: Tenancy): Wanted => {
    const published = declared.publishedPolicies(place);
    let policies = projectPolicies(declared, place);
    if (published) {
      const { verifyPolicies } = context;
      if (!verifyPolicies) return { ok: false, message: 'What is published cannot be verified here.' };
      if (!verifyPolicies(published.content, published.signature))
        return { ok: false, message: `The signature of publication ${published.version} is not right.` };
      policies = { ...policies, policySets: (JSON.parse(published.content) as PublishedContent).policySets };
    }
    const loaded = engine.load(place, policies);
    if (!loaded.ok) return { ok: false, message: JSON.stringify(loaded.issues).slice(0, 1000) };
    return { ok: true, version: engine.versionOf(place) ?? '' };
  };

  return {
    see: async (place): Promise<ObservedObject[]> => {
      const { database, patience, now } = context;
      view = await loadDeclared(database, view);
      const declared = view;
      const wanted = wantedOf(declared, place);
      const lastGood = await findLastGood(database, place);
      const changedAt = Math.max(
        0,
        ...(['PolicySet', 'AccessBinding'] as const).flatMap((kind) =>
          declared.list(kind, place).map(({ updatedAt }) => Date.parse(updatedAt)),
        ),
        Date.parse(declared.publishedPolicies(place)?.publishedAt ?? '') || 0,
      );
      const hadTime = (startedAt: Date): boolean => now().getTime() - Math.max(changedAt, startedAt.getTime()) > patience.policiesMs;
      const key = `${place.org}/${place.project}`;
      const symptoms: Symptom[] = wanted.ok
        ? (await gatewayReports(context)).flatMap(({ instance, report, startedAt }) =>
            report.policies[key] === wanted.version || !hadTime(startedAt)
              ? []
              : [symptom('PolicyMismatch', `${instance} decides by ${report.policies[key] ?? 'none'}; declared is ${wanted.version}.`)],
          )
        : [symptom('PolicyInvalid', wanted.message)];
      const declaredDigest = digestOfSets(setsIn(declared, place));
      const state = { version: wanted.ok ? wanted.version : '', lastGood: lastGood?.revision ?? '', declared: declaredDigest };
      return [platformObject(bundleRef(place), digestOf(['policies', key]), state, symptoms)];
    },
  };
};
