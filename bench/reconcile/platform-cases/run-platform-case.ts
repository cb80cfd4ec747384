import type { CaseOutcome } from '../cases/run-case.ts';
import { endOf, tellWhere, waitForRest } from '../cases/wait-for-rest.ts';
import { sideEffects } from '../judge/compare-snapshots.ts';
import { intervalSeconds } from '../judge/is-detected.ts';
import { type PlatformSights, takePlatformSnapshot } from '../judge/platform-snapshot.ts';
import { watchDetection } from '../judge/watch-detection.ts';
import type { Keeper } from '../keeper.ts';
import { pollUntil } from '../poll-until.ts';
import type { WrongFix } from '../wrong-fixes/listed-fix.ts';
import type { PlatformCase, PlatformLane } from './platform-case.ts';
import { startToolServer } from './tool-server.ts';

const tools = () => [
  { name: 'look', description: 'Looks' },
  { name: 'list', description: 'Lists' },
];

export type PlatformPlay = Omit<PlatformLane, 'server'> & {
  keeper: Keeper;
  sights: PlatformSights;
  /** What a model is to propose that is wrong, by the name of the target. */
  wrongs: Map<string, () => WrongFix>;
};

/** Plays one case in a project of its own, and judges by what the public api, an MCP client, the issuer and Temporal say before and after. */
export const runPlatformCase = async (
  { id, watch, declare, begin, inject, isWell, seenAs, tellableAfterMs = 10_000, right, wrong }: PlatformCase,
  { keeper, sights, wrongs, ...place }: PlatformPlay,
  { role, rulesOff, diagnosisSeconds }: { role: string; rulesOff: readonly string[]; diagnosisSeconds: number },
): Promise<CaseOutcome> => {
  const mostSeconds = 120 + diagnosisSeconds;
  const server = await startToolServer(tools());
  place.later(server.close);
  const lane: PlatformLane = { ...place, server };
  const { owner, project } = lane;
  wrongs.set(project, () => wrong(lane));
  await owner.apply(
    { kind: 'McpServer', metadata: { name: 'tools' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'tools' }, spec: { servers: [{ name: 'tools' }], naming: 'plain' } },
    ...(declare?.(lane) ?? []),
  );
  await begin?.(lane);
  await keeper.declare(project, {
    ...{ type: 'platform', watch, intervalSeconds: intervalSeconds.platform, rulesOff },
    limits: { cooldownSeconds: 0, percentPerPlan: 100, ...(rulesOff.length > 0 ? { failuresBeforeBlock: 1 } : {}) },
    verification: { timeoutSeconds: 45, holdSeconds: 1 },
    escalation: { role, seconds: diagnosisSeconds },
  });
  const untilWell = async () => ((await keeper.look(project)).phase === 'clean' && (await isWell(lane)) ? true : undefined);
  await pollUntil(untilWell, `${id} to be well`, mostSeconds * 1000).catch(tellWhere(keeper, project));
  const well = await takePlatformSnapshot(sights);
  const before = await keeper.look(project);
  const detection = watchDetection(() => owner.get(`/reconcile/targets/${project}`), seenAs);
  place.later(detection.end);
  const startedAt = performance.now();
  await inject(lane);
  detection.begin(tellableAfterMs);
  // a gateway looks at its servers every half minute: only then anybody can know
  const isSeen = async () => {
    const { phase, fixes } = await keeper.look(project);
    return fixes.length > before.fixes.length || phase !== 'clean' ? true : undefined;
  };
  await pollUntil(isSeen, `${id} to be seen`, mostSeconds * 1000).catch(() => undefined);
  const faulty = await takePlatformSnapshot(sights);
  const seen = await waitForRest(keeper, project, before.fixes.length, mostSeconds * 1000);
  const seconds = (performance.now() - startedAt) / 1000;
  const known = new Set(before.fixes.map((fix) => fix.id));
  const last = seen ?? (await keeper.look(project));
  const mine = { ...last, fixes: last.fixes.filter((fix) => !known.has(fix.id)) };
  const end = seen ? endOf(mine) : 'no-end';
  const isWellNow = await isWell(lane);
  const changed = sideEffects({ well, faulty, end: await takePlatformSnapshot(sights) }, end === 'fixed' ? right.changes : right.moves);
  return {
    ...{ id, end, isWell: isWellNow, changed, seen: mine, seconds },
    detection: await detection.end(),
    isRight: right.ends.some((one) => one === end) && (end !== 'fixed' || isWellNow) && changed.length === 0,
    modelCalls: mine.fixes.reduce((sum, fix) => sum + fix.modelCalls, 0),
    costMicroUsd: mine.fixes.reduce((sum, fix) => sum + fix.costMicroUsd, 0),
  };
};
