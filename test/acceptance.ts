/**
 * The acceptance list of the product: what it promises, clause by clause, and the test that proves each. Pure data; whether a clause
 * is proven is computed from the report of a test run (`npm run status`), never written here.
 */
export type AcceptanceEntry = {
  /** Case of the list below, such as `GW-1` or `R09`. */
  readonly id: string;
  /** Part of the case, `a`, `b`, …: what one test can prove. */
  readonly clause: string;
  /** What is promised, in words that can be read alone. */
  readonly text: string;
  /** The case's own number, where it has one, such as `p50 ≤ 0.4 ms`. */
  readonly threshold?: string;
  /** `file › group › name` of the test, or `file › name`, as the runner reports it; file from the root of the repository. */
  readonly test: string;
};

/** The cases there are: an id is `prefix`, then a number from 1 to `count` padded to `digits`. */
export const acceptanceFamilies = [
  { title: 'Parity with the nearest platform', prefix: 'P', count: 34, digits: 1 },
  { title: 'Beyond it', prefix: 'B', count: 15, digits: 1 },
  { title: 'Gateway', prefix: 'GW-', count: 30, digits: 1 },
  { title: 'Reconciler', prefix: 'R', count: 26, digits: 2 },
  { title: 'Fleets', prefix: 'F', count: 9, digits: 2 },
  { title: 'Faults in Kubernetes', prefix: 'K', count: 16, digits: 2 },
  { title: 'Faults in the gateway', prefix: 'G', count: 12, digits: 2 },
  { title: 'Faults of agents', prefix: 'A', count: 12, digits: 2 },
  { title: 'Security', prefix: 'SEC-', count: 40, digits: 1 },
  { title: 'First use', prefix: 'UX-', count: 30, digits: 1 },
] as const;

export const acceptance: readonly AcceptanceEntry[] = [];
