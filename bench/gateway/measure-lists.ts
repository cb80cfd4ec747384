import type { Stage } from './measure-cell.ts';
import { modernHeaders, modernMeta } from './requests.ts';
import { median, rounded } from './statistics.ts';

/** Times of one whole `tools/list` in milliseconds, all its pages; and how many tools and bytes it has. */
export type ListFigures = {
  tools: number;
  directMs: number;
  unfilteredMs: number;
  filteredMs: number;
  filteredTools: number;
  /** Filtered by policy over the server's own list. */
  ratioToDirect: number;
  /** Filtered by policy over the same endpoint where the policies let everything through. */
  ratioToUnfiltered: number;
};

/** Measures lists of many tools: the server's own, through the gateway whole, and through the gateway with half of it denied. */
export const measureLists = async (
  { load, manyPort, gateway }: Stage,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<ListFigures> => {
  const at = (toolset: string) => ({
    url: `http://127.0.0.1:${gateway.port}/mcp/default/default/${toolset}`,
    headers: modernHeaders('tools/list', gateway.token),
  });
  const targets = {
    direct: { url: `http://127.0.0.1:${manyPort}/mcp`, headers: modernHeaders('tools/list') },
    unfiltered: at('many'),
    filtered: at('many-filtered'),
  };
  type Listed = { items: number; bytes: number; medianMs: number };
  const slices: Record<keyof typeof targets, Listed[]> = { direct: [], unfiltered: [], filtered: [] };
  for (let round = 0; round < rounds; round += 1)
    for (const name of Object.keys(targets) as (keyof typeof targets)[])
      slices[name].push(await load.ask<Listed>('list', { ...targets[name], meta: modernMeta, seconds: seconds / 2 }));
  const timeOf = (name: keyof typeof targets): number => rounded(median(slices[name].map(({ medianMs }) => medianMs)));
  const [directMs, unfilteredMs, filteredMs] = [timeOf('direct'), timeOf('unfiltered'), timeOf('filtered')];
  return {
    tools: slices.direct[0]?.items ?? 0,
    directMs,
    unfilteredMs,
    filteredMs,
    filteredTools: slices.filtered[0]?.items ?? 0,
    ratioToDirect: rounded(filteredMs / directMs),
    ratioToUnfiltered: rounded(filteredMs / unfilteredMs),
  };
};
