import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import pino from 'pino';
import { type Activities, createActivities, createGatewayClient } from '../../activities/index.ts';
import type { TargetPort } from '../../reconcile/target-port.ts';
import type { Approval, Verdict } from '../../schema/approval.ts';
import { defaultTenancy, reconcileWorkflowId } from '../../schema/ids.ts';
import type { Fix } from '../../schema/reconcile/fix.ts';
import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { TargetPhase } from '../../schema/reconcile/target-state.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import { approvalDecidedSignal, targetChangedSignal, workflowTypes } from '../../schema/workflow-contract.ts';
import { listApprovals } from '../../store/approvals.ts';
import type { ContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';
import { decideApproval } from '../../store/decide-approval.ts';
import { seedPeople } from '../../store/people.ts';
import { listFixes } from '../../store/reconcile-fixes.ts';
import { liftPause, placePause } from '../../store/reconcile-pauses.ts';
import { findTarget, type TargetRow } from '../../store/reconcile-targets.ts';
import { applyResources } from '../../store/resources.ts';
import { bundleWorkflows, startClient, startWorkers, type TestWorkers } from '../workflows/workers.ts';
import { approvalEvent } from './ask-approval.ts';
import { createMemoryTarget } from './memory-target.ts';
import { createMemoryWorld, type MemoryWorld } from './memory-world.ts';
import { pollUntil } from './poll-until.ts';
import { contentsOf, createReconcileParts } from './reconcile-parts.ts';
import { spreadTarget } from './spread-target.ts';

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
  owner = 'owner',
  worldPerTarget = false,
  over,
  elsewhere,
  agents,
}: {
  database: Database;
  gateway?: ReturnType<typeof createGatewayClient>;
  contents?: ContentStore;
  mayApproveOwn?: boolean;
  /** Who declares the targets. */
  owner?: string;
  /** Each target keeps a system of its own, so that many may be kept at once. */
  worldPerTarget?: boolean;
  /** The adapter of a real system, in place of the one in memory. */
  over?: TargetPort<'kubernetes'>;
  /** Others work, on these queues of this server. */
  elsewhere?: { address: string; prefix: string };
  /** What agents do beside it, in the same process, and how much of it at once in each of their pools. */
  agents?: { activities: Partial<Activities>; slots: number };
}) => {
  const world: MemoryWorld = createMemoryWorld();
  const worlds = new Map<string, MemoryWorld>();
  const worldOf = (name: string): MemoryWorld => {
    const own = worlds.get(name) ?? (worldPerTarget ? createMemoryWorld() : world);
    worlds.set(name, own);
    return own;
  };
  const time = { offsetMs: 0 };
  const clock = (): Date => new Date(Date.now() + time.offsetMs);
  const inMemory = worldPerTarget
    ? spreadTarget(({ name }) => createMemoryTarget(worldOf(name), { now: clock }))
    : createMemoryTarget(world, { now: clock });
  const target = over ?? inMemory;
  const { audit, engine, collaborators } = createReconcileParts({ database, target, clock, mayApproveOwn });
  await seedPeople(database, 'default', [
    { id: 'admin', groups: [], roles: ['administrator'] },
    { id: 'owner', groups: [], roles: [] },
    { id: 'rita', groups: [], roles: ['reviewer'] },
    { id: 'rob', groups: [], roles: ['reviewer'] },
  ]);
  const bundle = await bundleWorkflows();
  const makeActivities = (workflows: Client['workflow'], change: Partial<typeof collaborators> = {}) => ({
    ...createActivities({
      ...{ database, contents, gateway, workflows, logger: pino({ level: 'silent' }) },
      reconcile: { ...collaborators, ...change },
    }),
    ...agents?.activities,
  });
  let workers: TestWorkers = elsewhere
    ? await startClient(elsewhere.address, elsewhere.prefix)
    : await startWorkers(bundle, makeActivities, undefined, agents ? { agentSlots: agents.slots } : {});
  let serial = 0;
  const names = new Set<string>();

  const idOf = (name: string): string => reconcileWorkflowId({ ...defaultTenancy, target: name });
  const rowOf = (name: string): Promise<TargetRow | undefined> => findTarget(database, { ...defaultTenancy, target: name });
  const fixesOf = async (name: string): Promise<Fix[]> => (await listFixes(database, defaultTenancy, name)).toReversed();

  return {
    ...{
      world,
      worldOf,
      target,
      time,
      clock,
      audit,
      engine,
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
      const name = `shop-${serial}-${randomBytes(2).toString('hex')}`;
      names.add(name);
      return name;
    },
    /** Ends what earlier tests left to go on by itself. */
    stop: async (): Promise<void> => {
      await Promise.all(
        [...names].map((name) =>
          workers.workflows
            .getHandle(idOf(name))
            .terminate()
            .catch(() => undefined),
        ),
      );
      names.clear();
    },
    /** Declares a target, and puts what it declares into the world as it is to be. */
    declare: async (
      name: string,
      { manifests = [deploymentManifest()], ...spec }: { manifests?: object[] } & Record<string, unknown> = {},
    ) => {
      const document = {
        ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'ReconcileTarget', metadata: { name } },
        spec: { type: 'kubernetes', namespace: 'shop', ...quick, ...spec, manifests },
      };
      await applyResources(database, [resourceSchemas.ReconcileTarget.parse(document)], owner);
      for (const manifest of manifests as ReturnType<typeof deploymentManifest>[]) {
        const { apiVersion, kind, metadata } = manifest;
        const ref = { apiVersion, kind, namespace: metadata.namespace ?? 'shop', name: metadata.name };
        if (!worldOf(name).find(ref)) worldOf(name).put(ref, manifest, { manager: 'quarterdeck', isOurs: true });
      }
    },
    // biome-ignore lint/suspicious/noExplicitAny: states are whatever people declare
    worldState: (name: string): any => world.stateOf(deploymentRef(name)),
    /** Pauses a target as people do with the command, or lifts that. */
    declarePause: async (target: string, isPaused: boolean): Promise<void> => {
      const key = { ...defaultTenancy, target };
      if (isPaused) await placePause(database, { ...key, reason: 'incident', pausedBy: 'rita', decisionId: 'd', untilAt: null });
      else await liftPause(database, key);
    },
    freezeProject: async (frozen: boolean): Promise<void> => {
      const document = { apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Project', metadata: { name: 'default' }, spec: { frozen } };
      await applyResources(database, [resourceSchemas.Project.parse(document)], 'admin');
    },
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
      names.add(name); // also one that was stopped before
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
    waiting: (name: string, withinMs = 45_000): Promise<Approval> =>
      pollUntil(
        async () => {
          const fixes = await fixesOf(name);
          const open = fixes.find(({ state }) => state === 'awaiting-approval');
          const last = fixes.at(-1);
          // a fix that went another way is said at once, with its reason
          if (!open && last && (last.endedAt !== null || last.state === 'asked'))
            throw new Error(`${name} is ${last.state}: ${last.message}`);
          const found = await listApprovals(database, defaultTenancy, { state: 'pending', limit: 100 });
          return found.find(({ id }) => id === open?.approvalId);
        },
        `an approval of ${name}`,
        withinMs,
      ),
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
