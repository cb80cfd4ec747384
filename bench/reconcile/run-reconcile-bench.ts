import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ruleCatalogue } from '../../reconcile/rules/catalogue.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { clusterCases } from './cases/cluster-cases.ts';
import type { DriftCase, Lane, WrongFix } from './cases/drift-case.ts';
import { type CaseOutcome, runCase } from './cases/run-case.ts';
import type { Images } from './cluster/program-facts.ts';
import type { KubeCluster } from './cluster/start-cluster.ts';
import { defineToolhosts } from './cluster/toolhost-definition.ts';
import { type BlockedBy, blockedBy } from './judge/blocked-by.ts';
import { keeperNeeds } from './keeper-resources.ts';
import { expert } from './models/expert.ts';
import { createFlapModel } from './models/flap.ts';
import { garbageModel } from './models/garbage.ts';
import { serveModels } from './models/serve-models.ts';
import { wrongFixModel } from './models/wrong-fix.ts';
import { employPeople } from './people.ts';
import type { PlatformCase } from './platform-cases/platform-case.ts';
import { platformCases } from './platform-cases/platform-cases.ts';
import { runPlatformCase } from './platform-cases/run-platform-case.ts';
import { createPlatformClient, keeperOf } from './platform-client.ts';

/** What the bench stands on: a platform and a cluster, both real and of its own. */
export type ReconcilePlaces = {
  apiUrl: string;
  /** Of the person who declares the targets. */
  ownerToken: string;
  /** Of those who may approve. */
  reviewers: readonly { name: string; token: string }[];
  cluster: KubeCluster;
  images: Images;
  databaseUrl: string;
};

export const modelNames = ['expert', 'wrong-fix', 'garbage', 'flap', 'tiny'] as const;
export type ModelName = (typeof modelNames)[number];

export type ReconcilePlan = { models: readonly ModelName[]; cases: readonly (DriftCase | PlatformCase)[]; lanes: number };

export type PlayedCase = CaseOutcome & { model: ModelName; blockedBy?: BlockedBy | undefined; failure?: string };
export type ReconcileResult = { played: PlayedCase[]; seconds: number };

export const allCases: readonly (DriftCase | PlatformCase)[] = [...clusterCases, ...platformCases];
const isOfPlatform = (each: DriftCase | PlatformCase): each is PlatformCase => 'watch' in each;

/** With this model rules are asked first; with the others a model alone answers, so that each of its answers is seen. */
const usesRules = (model: ModelName): boolean => model === 'expert';

const failed = ({ id, fault, rule }: Pick<DriftCase, 'id' | 'fault' | 'rule'>, error: unknown): CaseOutcome => ({
  ...{ id, fault, rule, end: 'no-end', isRight: false, isWell: false, changed: [], modelCalls: 0, costMicroUsd: 0, seconds: 0 },
  seen: { phase: 'unknown', message: (error as Error).message, fixes: [] },
});

/**
 * Plays faults on a real cluster under a real platform, with models whose answers are known, and judges by what the API server says. Cases run
 * side by side, each in a namespace of its own.
 * @param onLine - told what goes on
 */
export const runReconcileBench = async (
  places: ReconcilePlaces,
  plan: ReconcilePlan,
  onLine: (text: string) => void,
): Promise<ReconcileResult> => {
  const startedAt = performance.now();
  const { cluster, images } = places;
  const owner = createPlatformClient({ apiUrl: places.apiUrl, token: places.ownerToken });
  const lanes = new Map<string, { lane: Lane; each: DriftCase }>();
  const of = (target: string) => lanes.get(target);
  const wrongs = new Map<string, WrongFix>();
  const database = openDatabase({ url: places.databaseUrl, max: 2, name: 'bench' });
  const server = await serveModels({
    expert: (evidence) => JSON.stringify(expert(evidence)),
    'wrong-fix': wrongFixModel((target) => wrongs.get(target)),
    garbage: garbageModel,
    flap: createFlapModel(),
  });
  const people = employPeople(
    places.reviewers.map(({ name, token }) => ({ name, client: createPlatformClient({ apiUrl: places.apiUrl, token }) })),
    (target) => {
      const found = of(target);
      return found && (found.each.right.operations?.(found.lane) ?? []);
    },
    onLine,
  );
  const keeper = keeperOf(owner);
  const tls = {
    cert: readFileSync(join(cluster.folder, 'apiserver.crt'), 'utf8'),
    key: readFileSync(join(cluster.folder, 'apiserver.key'), 'utf8'),
  };
  const kubeconfig = cluster.reconcilerKubeconfig('reconciler.kubeconfig');

  const play = async (each: DriftCase, model: ModelName): Promise<PlayedCase> => {
    const namespace = `${each.id.toLowerCase()}-${model}`;
    const undo: (() => unknown)[] = [];
    const lane: Lane = {
      ...{ namespace, elsewhere: `${namespace}-elsewhere`, send: cluster.send, images, tls },
      keep: (name, value) => cluster.file(`${namespace}-${name}`, value),
      later: (step) => undo.push(step),
      redeclare: async () => undefined,
      hold: (object) => owner.post(`/reconcile/targets/${namespace}/holds`, { object, seconds: 600, reason: 'an incident' }),
    };
    lanes.set(namespace, { lane, each });
    wrongs.set(namespace, each.wrong(lane));
    try {
      const outcome = await runCase(
        each,
        {
          ...{ cluster, keeper, lane },
          isOthers: (name) => [...lanes.keys()].some((other) => other !== namespace && name.startsWith(other)),
          specOf: ({ namespace: own }, manifests, more) => ({
            ...{ type: 'kubernetes', cluster: { kubeconfig: { file: kubeconfig } }, namespace: own, manifests },
            intervalSeconds: 1,
            // a model that was refused would be asked again and again: once is enough to know what stopped it
            limits: {
              cooldownSeconds: 0,
              percentPerPlan: 100,
              fixesPerHour: 100,
              ...(usesRules(model) ? {} : { failuresBeforeBlock: each.keepsRules ? 2 : 1 }),
            },
            verification: { timeoutSeconds: 15, holdSeconds: 1 },
            escalation: { role: `diagnose-${model}`, seconds: 60 },
            ...more,
          }),
        },
        usesRules(model) ? {} : { rulesOff: ruleCatalogue.map(({ name }) => name) },
      );
      return { ...outcome, model, blockedBy: blockedBy(outcome, 'operations' in each.wrong(lane)) };
    } catch (error) {
      return { ...failed(each, error), model, failure: (error as Error).message };
    } finally {
      for (const step of undo.toReversed()) await Promise.resolve(step()).catch(() => undefined);
      await keeper.forget(namespace).catch(() => undefined);
      await cluster.send('DELETE', `/api/v1/namespaces/${namespace}`).catch(() => undefined);
    }
  };

  const playOnPlatform = async (each: PlatformCase, model: ModelName): Promise<PlayedCase> => {
    const project = `${each.id.toLowerCase()}-${model}`;
    const client = createPlatformClient({ apiUrl: places.apiUrl, token: places.ownerToken, project });
    const undo: (() => unknown)[] = [];
    try {
      await client.apply({ kind: 'Project', metadata: { name: project }, spec: {} });
      await client.apply(...keeperNeeds(server.url, [model]));
      const outcome = await runPlatformCase(
        each,
        { project, owner: client, database, keeper: keeperOf(client), later: (step) => undo.push(step), wrongs },
        { role: `diagnose-${model}`, rulesOff: usesRules(model) ? [] : ruleCatalogue.map(({ name }) => name) },
      );
      return { ...outcome, model, blockedBy: blockedBy(outcome, 'operations' in (wrongs.get(project) ?? {})) };
    } catch (error) {
      return { ...failed(each, error), model, failure: (error as Error).message };
    } finally {
      await keeperOf(client)
        .forget(project)
        .catch(() => undefined);
      for (const step of undo.toReversed()) await Promise.resolve(step()).catch(() => undefined);
    }
  };

  try {
    await defineToolhosts(cluster);
    await owner.apply(...keeperNeeds(server.url, plan.models));
    const waiting = plan.models.flatMap((model) => plan.cases.map((each) => ({ each, model })));
    const played: PlayedCase[] = [];
    const lanesAtWork = Array.from({ length: plan.lanes }, async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const { each, model } = next;
        const outcome = isOfPlatform(each) ? await playOnPlatform(each, model) : await play(each, model);
        played.push(outcome);
        onLine(
          `${outcome.model} ${outcome.id}: ${outcome.failure ?? `${outcome.end}${outcome.isRight ? '' : ' (not right)'}`}, ${outcome.seconds.toFixed(1)} s`,
        );
      }
    });
    await Promise.all(lanesAtWork);
    return { played, seconds: (performance.now() - startedAt) / 1000 };
  } finally {
    await people.stop();
    await closeDatabase(database);
    await server.close();
  }
};
