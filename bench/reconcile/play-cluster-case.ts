import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ruleCatalogue } from '../../reconcile/rules/catalogue.ts';
import type { DriftCase, Lane } from './cases/drift-case.ts';
import { type CaseOutcome, runCase } from './cases/run-case.ts';
import type { Images } from './cluster/program-facts.ts';
import type { KubeCluster } from './cluster/start-cluster.ts';
import { intervalSeconds } from './judge/is-detected.ts';
import type { ModelName } from './model-names.ts';
import { keeperOf, type PlatformClient } from './platform-client.ts';
import { diagnosisSeconds, usesRules } from './played-case.ts';
import type { WrongFix } from './wrong-fixes/listed-fix.ts';

/** Plays cases on the cluster, each in a namespace of its own that is its target's name too. */
export const createClusterPlayer = ({
  cluster,
  images,
  owner,
  wrongs,
}: {
  cluster: KubeCluster;
  images: Images;
  owner: PlatformClient;
  wrongs: Map<string, () => WrongFix>;
}) => {
  const lanes = new Map<string, { lane: Lane; each: DriftCase }>();
  const keeper = keeperOf(owner);
  const kubeconfig = cluster.reconcilerKubeconfig('reconciler.kubeconfig');
  const tls = {
    cert: readFileSync(join(cluster.folder, 'apiserver.crt'), 'utf8'),
    key: readFileSync(join(cluster.folder, 'apiserver.key'), 'utf8'),
  };

  const play = async (each: DriftCase, model: ModelName): Promise<CaseOutcome> => {
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
    wrongs.set(namespace, () => each.wrong(lane));
    try {
      return await runCase(
        each,
        {
          ...{ cluster, keeper, lane },
          status: () => owner.get(`/reconcile/targets/${namespace}`),
          isOthers: (name) => [...lanes.keys()].some((other) => other !== namespace && name.startsWith(other)),
          specOf: ({ namespace: own }, manifests, more) => ({
            ...{ type: 'kubernetes', cluster: { kubeconfig: { file: kubeconfig } }, namespace: own, manifests },
            intervalSeconds: intervalSeconds.kubernetes,
            // a model that was refused would be asked again and again: once is enough to know what stopped it
            limits: {
              cooldownSeconds: 0,
              percentPerPlan: 100,
              fixesPerHour: 100,
              ...(usesRules(model) ? {} : { failuresBeforeBlock: each.keepsRules ? 2 : 1 }),
            },
            verification: { timeoutSeconds: 15, holdSeconds: 1 },
            escalation: { role: `diagnose-${model}`, seconds: diagnosisSeconds(model) },
            ...more,
          }),
        },
        { mostSeconds: 2 * diagnosisSeconds(model), ...(usesRules(model) ? {} : { rulesOff: ruleCatalogue.map(({ name }) => name) }) },
      );
    } finally {
      for (const step of undo.toReversed()) await Promise.resolve(step()).catch(() => undefined);
      await keeper.forget(namespace).catch(() => undefined);
      await cluster.send('DELETE', `/api/v1/namespaces/${namespace}`).catch(() => undefined);
    }
  };

  return {
    play,
    /** What careful people approve for a target; undefined where it is not of this cluster. */
    rightOf: (target: string): readonly object[] | undefined => {
      const found = lanes.get(target);
      return found && (found.each.right.operations?.(found.lane) ?? []);
    },
  };
};
