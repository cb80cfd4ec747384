import type { CaseOutcome } from './cases/run-case.ts';
import { type BlockedBy, blockedBy } from './judge/blocked-by.ts';
import { isDetected, isDetectedInLooks } from './judge/is-detected.ts';
import { isRightLayer, layerOf } from './judge/layer-of.ts';
import type { ModelName } from './model-names.ts';
import { type Layer, letterOf, type RuleLetter } from './taxonomy.ts';
import type { WrongFix } from './wrong-fixes/listed-fix.ts';

/** What became of one case with one model. */
export type PlayedCase = CaseOutcome & {
  model: ModelName;
  fault: string;
  rule: RuleLetter;
  /** Whether a row of the status named this very fault within two intervals. */
  detected: 'yes' | 'late' | 'no';
  /** The same in looks of the judge in place of seconds. */
  isDetectedInLooks: boolean;
  /** Who mended it or was asked, and whether the taxonomy gives it to them. */
  layer: Layer;
  isRightLayer: boolean;
  blockedBy?: BlockedBy | undefined;
  /** Why it could not be played. */
  failure?: string;
};

/** With this model rules are asked first; with the others a model alone answers, so that each of its answers is seen. */
export const usesRules = (model: ModelName): boolean => model === 'expert';

/** How long a diagnosis may take: the tiny model thinks on one thread of this machine, and has an answer to mend at times. */
export const diagnosisSeconds = (model: ModelName): number => (model === 'tiny' ? 180 : 60);

type Played = { id: string; fault: string; watch?: readonly string[] };

export const playedCase = (
  { id, fault, watch }: Played,
  model: ModelName,
  outcome: CaseOutcome,
  wrong: WrongFix | undefined,
): PlayedCase => ({
  ...{ ...outcome, model, fault, rule: letterOf(id) },
  detected: isDetected(outcome.detection, watch ? 'platform' : 'kubernetes'),
  isDetectedInLooks: isDetectedInLooks(outcome.detection, watch ? 'platform' : 'kubernetes'),
  ...{ layer: layerOf(outcome.seen), isRightLayer: isRightLayer(id, outcome.seen) },
  blockedBy: blockedBy(outcome, wrong !== undefined && 'operations' in wrong),
});

const reasonOf = (error: unknown): string => {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message} (${cause.message})` : message;
};

export const failedCase = ({ id, fault }: Played, model: ModelName, error: unknown): PlayedCase => ({
  ...{ id, model, fault, rule: letterOf(id), end: 'no-end', isRight: false, isWell: false, changed: [], modelCalls: 0, costMicroUsd: 0 },
  ...{ detected: 'no', isDetectedInLooks: false, layer: 'none', isRightLayer: false, seconds: 0 },
  detection: { rows: [], afterMs: undefined, afterLooks: undefined },
  seen: { phase: 'unknown', message: reasonOf(error), fixes: [] },
  failure: reasonOf(error),
});
