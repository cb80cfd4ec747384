import { clusterCases } from './cases/cluster-cases.ts';
import type { DriftCase } from './cases/drift-case.ts';
import type { Images } from './cluster/program-facts.ts';
import type { KubeCluster } from './cluster/start-cluster.ts';
import { defineToolhosts } from './cluster/toolhost-definition.ts';
import type { BreakableInstallation, Installation } from './installation.ts';
import { keeperNeeds } from './keeper-resources.ts';
import type { ModelName, RealModel } from './model-names.ts';
import type { AgentScript } from './models/agent-scripts.ts';
import { expert } from './models/expert.ts';
import { createFlapModel } from './models/flap.ts';
import { garbageModel } from './models/garbage.ts';
import { serveModels } from './models/serve-models.ts';
import { wrongFixModel } from './models/wrong-fix.ts';
import { employPeople } from './people.ts';
import type { PlatformCase } from './platform-cases/platform-case.ts';
import { platformCases } from './platform-cases/platform-cases.ts';
import { createPlatformClient } from './platform-client.ts';
import { createClusterPlayer } from './play-cluster-case.ts';
import { openPlatformPlayer } from './play-platform-case.ts';
import { failedCase, type PlayedCase, playedCase } from './played-case.ts';
import type { WrongFix } from './wrong-fixes/listed-fix.ts';

export { type ModelName, modelNames } from './model-names.ts';
export type { PlayedCase } from './played-case.ts';

/** What the bench stands on: a platform and a cluster, both real and of its own. */
export type ReconcilePlaces = Installation & {
  cluster: KubeCluster;
  images: Images;
  /** Starts one more platform, for faults of processes that everybody shares. */
  startBreakable: () => Promise<BreakableInstallation>;
};

type AnyCase = DriftCase | PlatformCase;
/** `real`: what the model of that name is. */
export type ReconcilePlan = {
  models: readonly { name: ModelName; cases: readonly AnyCase[] }[];
  lanes: number;
  real?: RealModel | undefined;
};
export type ReconcileResult = { played: PlayedCase[]; seconds: number };

export const allCases: readonly AnyCase[] = [...clusterCases, ...platformCases];
const isOfPlatform = (each: AnyCase): each is PlatformCase => 'watch' in each;
const breaksProcesses = (each: AnyCase): boolean => isOfPlatform(each) && each.breaksProcesses === true;

type Play = { each: AnyCase; model: ModelName };

/**
 * Plays faults on a real cluster and real platforms, with models whose answers are known, and judges by what the API server, the public api,
 * MCP clients and Temporal say. Cases run side by side, each in a namespace or a project of its own; those that break processes one by one.
 * @param onLine - told what goes on
 */
export const runReconcileBench = async (
  places: ReconcilePlaces,
  plan: ReconcilePlan,
  onLine: (text: string) => void,
): Promise<ReconcileResult> => {
  const startedAt = performance.now();
  const { cluster, images, apiUrl } = places;
  const owner = createPlatformClient({ apiUrl, token: places.ownerToken });
  const wrongs = new Map<string, () => WrongFix>();
  const scripts = new Map<string, AgentScript>();
  const server = await serveModels(
    {
      expert: (evidence) => JSON.stringify(expert(evidence)),
      'wrong-fix': wrongFixModel((target) => wrongs.get(target)?.()),
      garbage: garbageModel,
      flap: createFlapModel(),
    },
    scripts,
  );
  const shared = { modelsUrl: server.url, real: plan.real, scripts, wrongs, onLine, keep: cluster.file };
  const onCluster = createClusterPlayer({ cluster, images, owner, wrongs });
  const onPlatform = await openPlatformPlayer(places, shared);
  const people = employPeople(
    places.reviewers.map(({ name, token }) => ({ name, client: createPlatformClient({ apiUrl, token }) })),
    onCluster.rightOf,
    onLine,
  );
  const played: PlayedCase[] = [];

  const playOne = async ({ each, model }: Play, breakable?: Awaited<ReturnType<typeof openPlatformPlayer>>): Promise<void> => {
    const outcome = await (isOfPlatform(each) ? (breakable ?? onPlatform).play(each, model) : onCluster.play(each, model)).then(
      (ended) => playedCase(each, model, ended, wrongs.get(`${each.id.toLowerCase()}-${model}`)?.()),
      (error) => failedCase(each, model, error),
    );
    played.push(outcome);
    const how = outcome.failure ?? `${outcome.end}${outcome.isRight ? '' : ' (not right)'}`;
    onLine(`${outcome.model} ${outcome.id}: ${how}, ${outcome.seconds.toFixed(1)} s`);
  };
  const playLane = async (waiting: Play[]): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await playOne(next);
  };
  const playBreaking = async (waiting: readonly Play[]): Promise<void> => {
    if (waiting.length === 0) return;
    const installation = await places.startBreakable();
    const player = await openPlatformPlayer(installation, { ...shared, breakable: installation });
    try {
      for (const next of waiting) await playOne(next, player);
    } finally {
      await player.close();
    }
  };

  try {
    await defineToolhosts(cluster);
    const names = plan.models.map(({ name }) => name);
    await owner.apply(...keeperNeeds(server.url, names, plan.real));
    const waiting = plan.models.flatMap(({ name: model, cases }) => cases.map((each): Play => ({ each, model })));
    const apart = waiting.filter(({ each }) => breaksProcesses(each));
    const together = waiting.filter(({ each }) => !breaksProcesses(each));
    await Promise.all([playBreaking(apart), ...Array.from({ length: plan.lanes }, () => playLane(together))]);
    return { played, seconds: (performance.now() - startedAt) / 1000 };
  } finally {
    await people.stop();
    await onPlatform.close();
    await server.close();
  }
};
