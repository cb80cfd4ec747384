import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import pino from 'pino';
import { createActivities, createGatewayClient } from '../../activities/index.ts';
import type { ReconcileCollaborators } from '../../activities/reconcile-context.ts';
import { createFixDecider } from '../../activities/reconcile-decide.ts';
import { createLearnFromFix } from '../../activities/reconcile-learn.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import type { Approval, Verdict } from '../../schema/approval.ts';
import { defaultTenancy, reconcileWorkflowId } from '../../schema/ids.ts';
import type { Fix } from '../../schema/reconcile/fix.ts';
import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { TargetPhase } from '../../schema/reconcile/target-state.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import { approvalDecidedSignal, targetChangedSignal, workflowTypes } from '../../schema/workflow-contract.ts';
import { listApprovals } from '../../store/approvals.ts';
import { createApprovalAsks } from '../../store/ask-approval.ts';
import { createContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';
import { decideApproval } from '../../store/decide-approval.ts';
import { seedPeople } from '../../store/people.ts';
import { listFixes } from '../../store/reconcile-fixes.ts';
import { findTarget, type TargetRow } from '../../store/reconcile-targets.ts';
import { applyResources } from '../../store/resources.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { bundleWorkflows, startWorkers, type TestWorkers } from '../workflows/workers.ts';
import { approvalEvent, approvalKeys } from './ask-approval.ts';
import { openAuditLog } from './audit-log.ts';
import { createMemoryTarget } from './memory-target.ts';
import { createMemoryWorld, type MemoryWorld } from './memory-world.ts';
import { pollUntil } from './poll-until.ts';

export const contentsOf = (database: Database) =>
  createContentStore(database, deriveContentKeys(Buffer.alloc(32, 7).toString('base64'), 'content'));

// biome-ignore lint/suspicious/noExplicitAny: manifests are as people write them
export const deploymentManifest = (name = 'web', change: any = {}): any => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'shop', ...(change.metadata ?? {}) },
  spec: {
    replicas: 2,
    template: { spec: { containers: [{ name, image: `registry.example/${name}@sha256:${'a'.repeat(64)}` }] } },
    ...(change.spec ?? {}),
  },
});
export const deploymentRef = (name = 'web'): ObjectRef => ({ apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name });

/** Timings of a test: nothing is held for long, and nothing cools down. */
export const quick = {
  verification: { timeoutSeconds: 2, holdSeconds: 0 },
  limits: { cooldownSeconds: 0, fixesPerHour: 1000 },
};

const noGateway = createGatewayClient({
  gatewayUrl: 'http://127.0.0.1:9',
  tokens: { tokenFor: async () => '', forget: () => undefined },
});

/**
 * The reconciler as a worker runs it, over a system in memory: real rows, real policies, a real Temporal server.
 * @param options.gateway - where models are reached; without it none can be
 */
export const startReconcilePlace = async ({
  database,
  gateway = noGateway,
  contents = contentsOf(database),
  mayApproveOwn = false,
}: {
  database: Database;
  gateway?: ReturnType<typeof createGatewayClient>;
  contents?: ReturnType<typeof createContentStore>;
  mayApproveOwn?: boolean;
}) => {
  const world: MemoryWorld = createMemoryWorld();
  const time = { offsetMs: 0 };
  const clock = (): Date => new Date(Date.now() + time.offsetMs);
  const audit = openAuditLog(database, 'worker');
  const engine = createPolicyEngine({ name: `reconcile-${randomBytes(3).toString('hex')}` });
  engine.load(defaultTenancy, { policySets: [], bindings: [] });
  await seedPeople(database, 'default', [
    { id: 'admin', groups: [], roles: ['administrator'] },
    { id: 'owner', groups: [], roles: [] },
    { id: 'rita', groups: [], roles: ['reviewer'] },
    { id: 'rob', groups: [], roles: ['reviewer'] },
  ]);
  const newDecisionId = (): string => `dec_${randomBytes(9).toString('hex')}`;
  const decider = createFixDecider({
    ...{ database, engine, audit, mayApproveOwn },
    newDecisionId,
  });
  const target = createMemoryTarget(world, { now: clock });
  const ports = { of: () => target } as unknown as ReconcileCollaborators['ports'];
  const collaborators = {
    audit,
    ports,
    decider,
    approvals: createApprovalAsks(database, audit, approvalKeys),
    learn: createLearnFromFix({ database, audit, newDecisionId }),
    clock,
  };
  const bundle = await bundleWorkflows();
  const makeActivities = (workflows: Client['workflow'], change: Partial<typeof collaborators> = {}) =>
    createActivities({
      ...{ database, contents, gateway, workflows, logger: pino({ level: 'silent' }) },
      reconcile: { ...collaborators, ...change },
    });
  let workers: TestWorkers = await startWorkers(bundle, makeActivities);
  let serial = 0;

  const idOf = (name: string): string => reconcileWorkflowId({ ...defaultTenancy, target: name });
  const rowOf = (name: string): Promise<TargetRow | undefined> => findTarget(database, { ...defaultTenancy, target: name });
  const fixesOf = async (name: string): Promise<Fix[]> => (await listFixes(database, defaultTenancy, name)).toReversed();

  return {
    ...{
      world,
      time,
      clock,
      audit,
      engine,
      decider,
      ports,
      collaborators,
      contents,
      database,
      bundle,
      makeActivities,
      idOf,
      rowOf,
      fixesOf,
    },
    workers: () => workers,
    /** Takes other workers in place of these, on the same queues. */
    restart: async (change: Partial<typeof collaborators> = {}): Promise<void> => {
      const { prefix } = workers;
      await workers.close();
      workers = await startWorkers(bundle, (workflows) => makeActivities(workflows, change), prefix);
    },
    newName: (): string => {
      serial += 1;
      return `shop-${serial}-${randomBytes(2).toString('hex')}`;
    },
    /** Declares a target as `owner`, and puts what it declares into the world as it is to be. */
    declare: async (
      name: string,
      { manifests = [deploymentManifest()], ...spec }: { manifests?: object[] } & Record<string, unknown> = {},
    ) => {
      const document = {
        ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'ReconcileTarget', metadata: { name } },
        spec: { type: 'kubernetes', namespace: 'shop', ...quick, ...spec, manifests },
      };
      await applyResources(database, [resourceSchemas.ReconcileTarget.parse(document)], 'owner');
      for (const manifest of manifests as ReturnType<typeof deploymentManifest>[]) {
        const { apiVersion, kind, metadata } = manifest;
        const ref = { apiVersion, kind, namespace: metadata.namespace ?? 'shop', name: metadata.name };
        if (!world.find(ref)) world.put(ref, manifest, { manager: 'quarterdeck', isOurs: true });
      }
    },
    // biome-ignore lint/suspicious/noExplicitAny: states are whatever people declare
    worldState: (name: string): any => world.stateOf(deploymentRef(name)),
    declareChannel: async (name: string): Promise<void> => {
      const document = {
        ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Channel', metadata: { name } },
        spec: { type: 'webhook', url: 'http://127.0.0.1:9/page', secret: { env: 'PAGER_SECRET' } },
      };
      await applyResources(database, [resourceSchemas.Channel.parse(document)], 'owner');
    },
    /** Declares a rule for one target. */
    declareRule: async (target: string, rule: object): Promise<void> => {
      const document = {
        ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'ReconcileRule', metadata: { name: `rule-${target}` } },
        spec: { targets: [target], ...rule },
      };
      await applyResources(database, [resourceSchemas.ReconcileRule.parse(document)], 'owner');
    },
    /** Says that something changed, as the controller does. */
    start: async (name: string): Promise<void> => {
      await workers.workflows.signalWithStart(workflowTypes.reconcile, {
        workflowId: idOf(name),
        taskQueue: workers.taskQueue,
        args: [{ ...defaultTenancy, target: name }],
        signal: targetChangedSignal,
      });
    },
    ended: async (name: string): Promise<void> => {
      await workers.workflows.getHandle(idOf(name)).result();
    },
    history: async (name: string) => (await workers.workflows.getHandle(idOf(name)).fetchHistory()).events ?? [],
    /** Waits until a target is in a phase. */
    phase: (name: string, phase: TargetPhase, withinMs = 20_000): Promise<TargetRow> =>
      pollUntil(
        async () => {
          const row = await rowOf(name);
          return row?.phase === phase ? row : undefined;
        },
        `${name} ${phase}`,
        withinMs,
      ),
    /** The approval that a target's fix waits for. */
    waiting: (name: string): Promise<Approval> =>
      pollUntil(async () => {
        const open = (await fixesOf(name)).find(({ state }) => state === 'awaiting-approval');
        const found = await listApprovals(database, defaultTenancy, { state: 'pending', limit: 100 });
        return found.find(({ id }) => id === open?.approvalId);
      }, `an approval of ${name}`),
    /** Answers as a person whom its rules name, and tells the workflow as the api does. */
    answer: async (name: string, { id, digest, rules }: Approval, person = 'rita', verdict: Verdict = 'approve'): Promise<Approval> => {
      const policies = rules.map(({ policy }) => policy);
      const answer = { person, verdict, digest, policies, stamp: 't', comment: null, decisionId: 'dec_r' };
      const key = { ...defaultTenancy, id };
      const decided = await decideApproval(database, audit, key, answer, approvalEvent(verdict), { mayApproveOwn });
      if (decided.state !== 'pending')
        await workers.workflows
          .getHandle(idOf(name))
          .signal(approvalDecidedSignal, { approvalId: id })
          .catch(() => undefined);
      return decided;
    },
    close: () => workers.close(),
  };
};
export type ReconcilePlace = Awaited<ReturnType<typeof startReconcilePlace>>;
