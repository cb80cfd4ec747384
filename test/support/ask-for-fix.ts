import { reconcilerId } from '../../policy/caller-entities.ts';
import { canonicalText } from '../../reconcile/canonical-text.ts';
import type { ApprovalRule } from '../../schema/approval.ts';
import { defaultTenancy, fixIdFrom } from '../../schema/ids.ts';
import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import type { Plan } from '../../schema/reconcile/plan.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import type { Database } from '../../store/database.ts';
import { digestOfText } from '../../store/exact-call.ts';
import { closeFix, moveFix, openFix } from '../../store/reconcile-fixes.ts';
import { takeTarget } from '../../store/reconcile-targets.ts';
import { applyResources } from '../../store/resources.ts';
import { planOf } from '../reconcile/support.ts';
import { askFor, callToApprove } from './ask-approval.ts';
import { shopTarget } from './fix-to-decide.ts';

const object = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };
export const fixRule: ApprovalRule = { policy: 'platform/fix-attended', approvers: ['role:reviewer', 'role:administrator'], count: 1 };

/** Declares a target as `owner`, as far as the tables go. */
export const declareShop = (database: Database, name: string, owner = 'guest', more: object = {}) =>
  applyResources(
    database,
    [
      resourceSchemas.ReconcileTarget.parse({
        ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'ReconcileTarget', metadata: { name } },
        spec: { ...('type' in more ? {} : shopTarget()), contact: '+49 30 1234', ...more },
      }),
    ],
    owner,
  );

let serial = 0;

/** A plan of a model that waits for people, in the rows in which its workflow would leave it. */
export const askForFix = async (
  database: Database,
  {
    owner = 'guest',
    rules = [fixRule],
    operations = [{ op: 'scale', object, replicas: 3 }],
    evidenceDigest = '',
    spec = {},
    diagnosis = 'The replicas are too few.',
    symptom = 'back-off \u202e5m',
    source = { kind: 'model', role: 'mechanic', model: 'small', confidence: 0.83, diagnosis },
    writers = [],
    before,
  }: {
    owner?: string;
    rules?: ApprovalRule[];
    operations?: ProposableOperation[];
    evidenceDigest?: string;
    spec?: object;
    diagnosis?: string;
    /** What the observed system says. */
    symptom?: string;
    source?: Plan['source'];
    /** Who wrote what the plan was before it was edited. */
    writers?: string[];
    /** Who declared the target before `owner` changed it. */
    before?: string;
  } = {},
) => {
  serial += 1;
  const target = `shop-${serial}`;
  const key = { ...defaultTenancy, target };
  if (before !== undefined) await declareShop(database, target, before, { ...spec, intervalSeconds: 59 });
  await declareShop(database, target, owner, spec);
  const { fence } = await takeTarget(database, key, { generation: 1 });
  const id = fixIdFrom(crypto.getRandomValues(new Uint8Array(10)));
  const fingerprint = 'unhealthy Deployment @ apps/Deployment/shop/web';
  const drift = {
    kind: 'unhealthy' as const,
    object,
    fields: [],
    fingerprint,
    faultKind: 'unhealthy Deployment',
    symptoms: [{ code: 'CrashLoopBackOff', message: symptom, count: 3 }],
  };
  const plan: Plan = {
    ...planOf(...operations),
    ...{ target, fingerprint, faultKind: 'unhealthy Deployment', evidenceDigest },
    source,
  };
  const text = canonicalText(plan);
  const planDigest = digestOfText(text);
  const reconciler = reconcilerId(defaultTenancy, target);
  await openFix(database, { ...key, id, fingerprint, faultKind: 'unhealthy Deployment', state: 'checking' }, fence);
  const asked = await askFor(
    database,
    callToApprove({
      ...{ kind: 'fix', subject: `${target}: unhealthy Deployment`, principal: `agent:${reconciler}`, agent: reconciler, person: owner },
      ...{ operationId: id, digest: planDigest, argumentsDigest: planDigest, text, rules, expiresInSeconds: 3600 },
      ...{ toolset: '', server: '', tool: '', definitionHash: '' },
    }),
  );
  const blast = { objects: 1, percent: 12.5, namespaces: ['shop'], kinds: ['Deployment'], isReversible: true, score: 1 };
  const review = {
    drift,
    why: 'no-rule',
    blast,
    dryRuns: [{ ok: true as const, diff: [{ path: '/spec/replicas', before: 1, after: 3 }] }],
  };
  const patch = { plan, planDigest, review, evidenceDigest, writers, approvalId: asked.id };
  await moveFix(database, { ...key, id }, ['checking'], 'awaiting-approval', patch, fence);
  return {
    ...{ key, fixId: id, approvalId: asked.id, expiresAt: asked.expiresAt, planDigest, plan, reconciler },
    /** What becomes of the fix meanwhile. */
    end: (state: 'stale' | 'left-alone' | 'expired' | 'denied') => closeFix(database, { ...key, id }, state, { message: '' }, fence),
  };
};
