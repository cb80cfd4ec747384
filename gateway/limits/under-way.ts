import type { Haltable } from '../../policy/halt-index.ts';
import type { PlatformError } from '../../schema/errors.ts';

/** Something under way for a caller, from its beginning to its end, that a halt cuts. */
export type UnderWay = {
  readonly what: Haltable;
  /** Tells it from others under way at this replica. */
  readonly number: number;
  /** Set as soon as it is halted: whatever has not begun yet does not begin any more. */
  halted: PlatformError | undefined;
  /** Set by what can be cut. */
  cut: ((halted: PlatformError) => void) | undefined;
};
