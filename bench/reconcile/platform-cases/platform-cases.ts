import * as each from './each-platform-case.ts';
import type { PlatformCase } from './platform-case.ts';

/** Faults of the platform itself that are played so far. */
export const platformCases: readonly PlatformCase[] = Object.values(each).toSorted((one, other) => (one.id < other.id ? -1 : 1));
