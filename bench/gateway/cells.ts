import { type ResultEncoding, type ResultSize, resultSizes, type ToolEffect } from './echo-tools.ts';

/** One combination of what is measured. `name` is what `--cell` takes. */
export type Cell = {
  name: string;
  effect: ToolEffect;
  connections: number;
  size: ResultSize;
  encoding: ResultEncoding;
  backends: number;
  /** Whether secrets and personal data are looked for in the results; off by default, so it is measured apart. */
  isMasked: boolean;
};

/** Servers behind the toolset of the cells with many. */
export const manyBackends = 5;

const cell = (
  effect: ToolEffect,
  connections: number,
  size: ResultSize = '16B',
  encoding: ResultEncoding = 'json',
  backends = 1,
  isMasked = false,
): Cell => ({
  name: [
    effect,
    `c${connections}`,
    size,
    encoding,
    ...(backends === 1 ? [] : [`${backends}backends`]),
    ...(isMasked ? ['masked'] : []),
  ].join('-'),
  effect,
  connections,
  size,
  encoding,
  backends,
  isMasked,
});

/** What masking costs, beside the same cells without it. */
const maskedCells: readonly Cell[] = (['16B', '10KB', '1MB'] as const).map((size) => cell('read', 32, size, 'json', 1, true));

/** The cell that the flat figures are of. */
export const keyCell = cell('read', 32);

/** Calls by which everything is warmed up. */
export const warmCells: readonly Cell[] = [keyCell, cell('act', 32)];

const effects = ['read', 'act'] as const;

/** What is measured by default, the most telling first. */
export const usualCells: readonly Cell[] = [
  keyCell,
  cell('act', 32),
  cell('read', 1),
  cell('act', 1),
  cell('read', 256),
  cell('act', 256),
  cell('read', 32, '10KB'),
  cell('read', 32, '1MB'),
  cell('read', 32, '16B', 'sse'),
  cell('read', 32, '16B', 'json', manyBackends),
  ...maskedCells,
];

export const quickCells: readonly Cell[] = usualCells.slice(0, 4);

/** Every combination. */
export const allCells: readonly Cell[] = [
  ...maskedCells,
  ...effects.flatMap((effect) =>
    [1, 32, 256].flatMap((connections) =>
      (Object.keys(resultSizes) as ResultSize[]).flatMap((size) =>
        (['json', 'sse'] as const).flatMap((encoding) =>
          [1, manyBackends].map((backends) => cell(effect, connections, size, encoding, backends)),
        ),
      ),
    ),
  ),
];
