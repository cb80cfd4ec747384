/** The value below which the given share of all values lies; values need not be sorted. 0 for none. */
export const quantile = (values: readonly number[], share: number): number => {
  if (values.length === 0) return 0;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
};

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
};

/** How far values lie apart, as a share of their median: the noise of the machine. */
export const spread = (values: readonly number[]): number => {
  const middle = median(values);
  return middle === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / middle;
};

/** A number as a person reads it: so many significant digits, no more. */
export const rounded = (value: number, digits = 3): number => (Number.isFinite(value) ? Number(value.toPrecision(digits)) : 0);
