const grouped = new Intl.NumberFormat('en-US');

/** `1,234` */
export const formatCount = (count: number): string => grouped.format(count);

/** Micro-dollars as dollars: `$0`, `$0.0012`, `$3.20` */
export const formatCost = (microUsd: number): string => {
  if (microUsd === 0) return '$0';
  const dollars = microUsd / 1_000_000;
  return `$${dollars < 0.1 ? dollars.toPrecision(2).replace(/e.*/, '') : dollars.toFixed(2)}`;
};

/** `840 ms`, `12 s`, `3 min 5 s`, `2 h 4 min` */
export const formatDuration = (ms: number): string => {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

/** How long ago, in one unit: `5s`, `3m`, `2h`, `4d` */
export const formatAge = (at: string, now: Date): string => {
  const seconds = Math.max(0, Math.floor((now.getTime() - Date.parse(at)) / 1_000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
};

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads `500ms`, `60s`, `5m`, `2h`, `1d`; a number alone is seconds. @returns milliseconds, undefined when it is none of these */
export const parseDuration = (text: string): number | undefined => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text);
  return match ? Number(match[1]) * (unitMs[match[2] ?? 's'] ?? 1_000) : undefined;
};
