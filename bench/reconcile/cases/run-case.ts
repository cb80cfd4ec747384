import type { KubeObject } from '../cluster/container-status.ts';
import type { KubeCluster } from '../cluster/start-cluster.ts';
import { type Change, sideEffects } from '../judge/compare-snapshots.ts';
import { takeSnapshot } from '../judge/snapshot.ts';
import { type Detection, type ShownTarget, watchDetection } from '../judge/watch-detection.ts';
import type { Keeper, SeenTarget } from '../keeper.ts';
import { pollUntil } from '../poll-until.ts';
import type { CaseEnd, DriftCase, Lane } from './drift-case.ts';
import { isAvailable } from './manifests.ts';
import { endOf, tellWhere, waitForRest } from './wait-for-rest.ts';

export type CaseOutcome = {
  id: string;
  end: CaseEnd | 'no-end';
  isRight: boolean;
  isWell: boolean;
  /** What was changed besides. */
  changed: readonly Change[];
  seen: SeenTarget;
  detection: Detection;
  modelCalls: number;
  costMicroUsd: number;
  seconds: number;
};

/**
 * Plays one case in a lane: declares, waits until all is well, breaks it, lets the reconciler have its way, and judges by what the API server
 * says before and after.
 */
export const runCase = async (
  { id, declare, spec, around, programs, keepsRules = [], inject, seenAs, shows, right }: DriftCase,
  {
    cluster,
    keeper,
    lane,
    specOf,
    isOthers,
    status,
  }: {
    cluster: Pick<KubeCluster, 'send' | 'openNamespace'>;
    keeper: Keeper;
    lane: Lane;
    /** The rest of a target's specification, around its manifests. */
    specOf: (lane: Lane, manifests: KubeObject[], more: object) => object;
    /** Whether something of the whole cluster belongs to another lane. */
    isOthers: (name: string) => boolean;
    /** What the target says of itself. */
    status: () => Promise<ShownTarget>;
  },
  { mostSeconds = 120, rulesOff = [] }: { mostSeconds?: number; rulesOff?: readonly string[] } = {},
): Promise<CaseOutcome> => {
  const { namespace, elsewhere, send } = lane;
  Object.assign(lane.images, programs(lane));
  await cluster.openNamespace(namespace);
  await send('POST', '/api/v1/namespaces', { metadata: { name: elsewhere } });
  await send('POST', `/api/v1/namespaces/${elsewhere}/secrets`, { metadata: { name: 'theirs' }, stringData: { token: 'not-yours' } });
  for (const [path, object] of around?.(lane) ?? []) await send('POST', path, object);
  const isWell = right.isWell ?? isAvailable;
  let off: readonly string[] = [];
  lane.redeclare = (manifests) => keeper.declare(namespace, specOf(lane, manifests, { ...spec?.(lane), rulesOff: off }));
  await lane.redeclare(declare(lane));
  const isThere = async () => {
    const { phase } = await keeper.look(namespace);
    return phase === 'clean' && (await isWell(lane)) ? true : undefined;
  };
  const snapshot = () => takeSnapshot(send, lane, isOthers);
  await pollUntil(isThere, `${id} to be well`, mostSeconds * 1000).catch(tellWhere(keeper, namespace));
  if (rulesOff.length > 0) {
    off = rulesOff.filter((name) => !keepsRules.includes(name));
    await lane.redeclare(declare(lane));
    await pollUntil(isThere, `${id} to be well without rules`, mostSeconds * 1000);
  }
  const well = await snapshot();
  const before = await keeper.look(namespace);
  const startedAt = performance.now();
  const detection = watchDetection(status, seenAs);
  lane.later(detection.end);
  await inject(lane);
  await pollUntil(async () => ((await shows(lane)) ? true : undefined), `${id} to show`, 30_000);
  detection.begin();
  const faulty = await snapshot();
  const seen = await waitForRest(keeper, namespace, before.fixes.length, mostSeconds * 1000);
  const seconds = (performance.now() - startedAt) / 1000;
  const known = new Set(before.fixes.map((fix) => fix.id));
  const last = seen ?? (await keeper.look(namespace));
  const fixes = last.fixes.filter((fix) => !known.has(fix.id));
  const mine = { ...last, fixes };
  const end = seen ? endOf(mine) : 'no-end';
  const isWellNow = await isWell(lane);
  const changed = sideEffects({ well, faulty, end: await snapshot() }, end === 'fixed' ? right.changes : right.moves);
  return {
    ...{ id, end, isWell: isWellNow, changed, seen: mine },
    detection: await detection.end(),
    isRight: right.ends.some((one) => one === end) && (end !== 'fixed' || isWellNow) && changed.length === 0,
    modelCalls: fixes.reduce((sum, fix) => sum + fix.modelCalls, 0),
    costMicroUsd: fixes.reduce((sum, fix) => sum + fix.costMicroUsd, 0),
    seconds,
  };
};
