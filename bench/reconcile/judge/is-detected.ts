import { betweenLooksMs, type Detection } from './watch-detection.ts';

/** How often targets of the bench are looked at, in seconds; a fault is to be named within two of these. */
export const intervalSeconds = { kubernetes: 2, platform: 2 } as const;

/** `late`: a row named this very fault, and not within two intervals of the moment from which on it could be known. */
export const isDetected = ({ afterMs }: Pick<Detection, 'afterMs'>, type: keyof typeof intervalSeconds): 'yes' | 'late' | 'no' => {
  if (afterMs === undefined) return 'no';
  return afterMs <= 2 * intervalSeconds[type] * 1000 ? 'yes' : 'late';
};

/** Whether it was named within as many looks as two intervals have room for: never more than `isDetected` asks, and on a busy machine less. */
export const isDetectedInLooks = ({ afterLooks }: Pick<Detection, 'afterLooks'>, type: keyof typeof intervalSeconds): boolean =>
  afterLooks !== undefined && afterLooks <= (2 * intervalSeconds[type] * 1000) / betweenLooksMs;
