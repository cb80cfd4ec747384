import type { WrongFix } from './cases/drift-case.ts';
import type { CaseOutcome } from './cases/run-case.ts';
import { type BlockedBy, blockedBy } from './judge/blocked-by.ts';
import type { ModelName } from './model-names.ts';
import { letterOf, type RuleLetter } from './taxonomy.ts';

/** What became of one case with one model. */
export type PlayedCase = CaseOutcome & {
  model: ModelName;
  fault: string;
  rule: RuleLetter;
  blockedBy?: BlockedBy | undefined;
  /** Why it could not be played. */
  failure?: string;
};

/** With this model rules are asked first; with the others a model alone answers, so that each of its answers is seen. */
export const usesRules = (model: ModelName): boolean => model === 'expert';

type Played = { id: string; fault: string };

export const playedCase = ({ id, fault }: Played, model: ModelName, outcome: CaseOutcome, wrong: WrongFix | undefined): PlayedCase => ({
  ...{ ...outcome, model, fault, rule: letterOf(id) },
  blockedBy: blockedBy(outcome, wrong !== undefined && 'operations' in wrong),
});

export const failedCase = ({ id, fault }: Played, model: ModelName, error: unknown): PlayedCase => ({
  ...{ id, model, fault, rule: letterOf(id), end: 'no-end', isRight: false, isWell: false, changed: [], modelCalls: 0, costMicroUsd: 0 },
  ...{ seconds: 0, detection: { rows: [], afterMs: undefined } },
  seen: { phase: 'unknown', message: (error as Error).message, fixes: [] },
  failure: (error as Error).message,
});
