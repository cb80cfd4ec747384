import { notRun, notYet } from './cases/not-run.ts';
import { allCases, type ModelName, type PlayedCase, type ReconcileResult } from './run-reconcile-bench.ts';

const wasUndone = ({ seen }: PlayedCase): boolean => seen.fixes.some(({ state }) => state === 'ineffective' || state === 'rolled-back');
const planOf = ({ seen }: PlayedCase) => seen.fixes.find(({ plan }) => plan?.source.kind === 'model');

const sum = (played: readonly PlayedCase[], value: (one: PlayedCase) => number): number =>
  played.reduce((total, one) => total + value(one), 0);
const count = (played: readonly PlayedCase[], fits: (one: PlayedCase) => boolean): number => played.filter(fits).length;

/** Figures of one model over all its cases. */
const figuresOf = (model: ModelName, played: readonly PlayedCase[]) => {
  const layers = ['inexpressible', 'schema', 'checks', 'dry-run', 'policy', 'people', 'overtaken', 'nobody-asked'] as const;
  const blocked = count(played, ({ blockedBy, failure }) => blockedBy !== undefined && failure === undefined);
  return {
    of: played.length,
    right: count(played, ({ isRight }) => isRight),
    fixed: count(played, ({ end }) => end === 'fixed'),
    asked: count(played, ({ end }) => end === 'asked'),
    leftAlone: count(played, ({ end }) => end === 'left-alone'),
    detected: count(played, ({ detected }) => detected !== 'no'),
    detectedInTwoIntervals: count(played, ({ detected }) => detected === 'yes'),
    detectedInLooksOfTwoIntervals: count(played, (one) => one.isDetectedInLooks),
    rightLayer: count(played, (one) => one.isRightLayer),
    planValid: count(played, (one) => (planOf(one)?.faults.length ?? 1) === 0),
    rulesFixed: count(played, (one) => one.end === 'fixed' && one.layer === 'rule'),
    rulesFixedWithoutModel: count(played, ({ rule, isRight, modelCalls }) => rule === 'Y' && isRight && modelCalls === 0),
    faultsOfRules: count(played, ({ rule }) => rule === 'Y'),
    nothingElseChanged: count(played, ({ changed, failure }) => changed.length === 0 && failure === undefined),
    undone: count(played, wasUndone),
    undoneExactly: count(played, (one) => wasUndone(one) && one.changed.length === 0),
    modelCalls: sum(played, ({ modelCalls }) => modelCalls),
    costMicroUsd: sum(played, ({ costMicroUsd }) => costMicroUsd),
    seconds: Math.round(sum(played, ({ seconds }) => seconds) * 10) / 10,
    failures: count(played, ({ failure }) => failure !== undefined),
    ...(model === 'wrong-fix'
      ? {
          blocked,
          blockedRate: played.length === 0 ? 0 : blocked / played.length,
          blockedBy: Object.fromEntries(layers.map((layer) => [layer, count(played, (one) => one.blockedBy === layer)])),
        }
      : {}),
  };
};

const modelsOf = ({ played }: ReconcileResult): ModelName[] => [...new Set(played.map(({ model }) => model))];
const ofModel = ({ played }: ReconcileResult, model: ModelName): PlayedCase[] =>
  played.filter((one) => one.model === model).toSorted((one, other) => (one.id < other.id ? -1 : 1));

/** What `--json` prints: a model's figures under its name, and each case. */
export const flatReconcileResult = (result: ReconcileResult) => ({
  ...Object.fromEntries(modelsOf(result).map((model) => [model, figuresOf(model, ofModel(result, model))])),
  seconds: Math.round(result.seconds),
  notRun: { ...notRun, ...notYet(allCases) },
  cases: result.played.map(({ seen, changed, ...one }) => ({
    ...one,
    changed: changed.slice(0, 10),
    phase: seen.phase,
    message: seen.message,
    fixes: seen.fixes.map(({ state, plan, faults, message }) => ({
      state,
      source: plan?.source.kind ?? null,
      operations: plan?.steps.map(({ operation }) => operation.op) ?? [],
      faults: faults.map(({ code }) => code),
      message,
    })),
  })),
});

const yes = (value: boolean): string => (value ? 'yes' : 'no');
const columns: readonly [title: string, value: (one: PlayedCase) => string][] = [
  ['case', ({ id }) => id],
  ['rules', ({ rule }) => rule],
  [
    'detected',
    ({ detected, detection: { afterMs } }) => (detected === 'late' ? `after ${((afterMs ?? 0) / 1000).toFixed(1)} s` : detected),
  ],
  ['layer', ({ layer }) => layer],
  ['right layer', ({ isRightLayer, model }) => (model === 'expert' ? yes(isRightLayer) : '–')],
  ['plan valid', (one) => (planOf(one) ? yes(planOf(one)?.faults.length === 0) : '–')],
  ['blocked by', ({ blockedBy, model }) => (model === 'wrong-fix' ? (blockedBy ?? 'NOBODY') : '–')],
  ['end', ({ end, failure }) => (failure === undefined ? end : 'failed')],
  ['right', ({ isRight, model }) => (model === 'expert' || model === 'real' ? yes(isRight) : '–')],
  ['else changed', ({ changed }) => (changed.length === 0 ? 'nothing' : String(changed.length))],
  ['undone exactly', (one) => (wasUndone(one) ? yes(one.changed.length === 0) : '–')],
  ['calls', ({ modelCalls }) => String(modelCalls)],
  ['µ$', ({ costMicroUsd }) => String(costMicroUsd)],
  ['s', ({ seconds }) => seconds.toFixed(1)],
  ['fault', ({ fault }) => fault],
];

const tableOf = (played: readonly PlayedCase[]): string => {
  const rows = [columns.map(([title]) => title), ...played.map((one) => columns.map(([, value]) => value(one)))];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};

const summaryOf = (model: ModelName, played: readonly PlayedCase[]): string => {
  const figures = figuresOf(model, played);
  const common = `nothing else changed in ${figures.nothingElseChanged} of ${figures.of}, ${figures.modelCalls} model calls, ${figures.costMicroUsd} µ$, ${figures.seconds} s of work`;
  if (model === 'wrong-fix') {
    const by = Object.entries(figures.blockedBy ?? {}).filter(([, number]) => number > 0);
    return `wrong fixes blocked: ${figures.blocked} of ${figures.of} (${by.map(([layer, number]) => `${layer} ${number}`).join(', ')}); ${common}`;
  }
  return [
    `${figures.right} of ${figures.of} ended right: ${figures.fixed} fixed, ${figures.asked} asked, ${figures.leftAlone} left alone; ${common}`,
    `${figures.detected} named by a row of the status, ${figures.detectedInTwoIntervals} within two intervals; ${figures.rightLayer} by the layer that the taxonomy says`,
    `rules alone mended ${figures.rulesFixed}; of ${figures.faultsOfRules} faults that rules can mend ${figures.rulesFixedWithoutModel} ended right without a model`,
  ].join('\n');
};

/** The result as people read it: each model its table, the deterministic layer apart, and what was not played. */
export const renderReconcileBench = (result: ReconcileResult): string =>
  [
    ...modelsOf(result).flatMap((model) => {
      const played = ofModel(result, model);
      return [`model ${model}`, tableOf(played), summaryOf(model, played), ''];
    }),
    'not run:',
    ...Object.entries({ ...notRun, ...notYet(allCases) }).map(([id, why]) => `  ${id}  ${why}`),
    `${Math.round(result.seconds)} s in all`,
  ].join('\n');
