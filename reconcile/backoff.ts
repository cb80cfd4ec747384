/**
 * Milliseconds until the next try: doubled with each failure up to a bound, then between half and all of it, by a seed that is handed in,
 * so that many targets that failed together do not come back together.
 * @param seed - 0 up to but not including 1
 */
export const backoffMs = (failures: number, seed: number, { firstMs = 1000, mostMs = 300_000 } = {}): number => {
  const whole = Math.min(mostMs, firstMs * 2 ** Math.min(Math.max(failures, 0), 30));
  return Math.round(whole / 2 + (whole / 2) * Math.min(Math.max(seed, 0), 1));
};

/** A number from 0 up to but not including 1 that is the same for the same text: a seed without a random source (FNV-1a). */
export const seedOf = (text: string): number => {
  let hash = 0x81_1c_9d_c5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01_00_01_93);
  return (hash >>> 0) / 2 ** 32;
};
