import type { Detection } from './watch-detection.ts';

/** How often targets of the bench are looked at, in seconds; a fault is to be named within two of these. */
export const intervalSeconds = { kubernetes: 1, platform: 2 } as const;

/** `late`: a row named this very fault, and not within two intervals of the moment from which on it could be known. */
export const isDetected = ({ afterMs }: Detection, type: keyof typeof intervalSeconds): 'yes' | 'late' | 'no' => {
  if (afterMs === undefined) return 'no';
  return afterMs <= 2 * intervalSeconds[type] * 1000 ? 'yes' : 'late';
};
