import type { Rewritten } from '../schema/reconcile/plan.ts';
import { compareState } from './compare-state.ts';
import { pointerParts, valueAt } from './json-pointer.ts';
import { readQuantity } from './quantity.ts';

/** A field that a write was to change; without `after` it was to go. */
type Sent = { path: string; after?: unknown };

/** One amount in two spellings: the API server's own, and nobody's change. */
const isSameAmount = (one: unknown, other: unknown): boolean => {
  const [left, right] = [one, other].map((text) => (typeof text === 'string' ? readQuantity(text) : undefined));
  return left !== undefined && left === right;
};

/** A state without some of its fields; items of lists keep their places. */
export const withoutFields = (state: unknown, paths: readonly string[]): unknown => {
  const rest = structuredClone(state);
  for (const path of paths) {
    const parts = pointerParts(path);
    const last = parts.pop() ?? '';
    let at = rest as Record<string, unknown> | unknown[] | undefined;
    for (const part of parts) at = typeof at === 'object' && at !== null ? ((at as Record<string, unknown>)[part] as typeof at) : undefined;
    if (Array.isArray(at)) at[Number(last)] = null;
    else if (typeof at === 'object' && at !== null) delete at[last];
  }
  return rest;
};

/**
 * The fields that were answered other than they were sent, in one and the same request: somebody between us and the store writes them (a mutating
 * webhook, K15), and writes them at every other write too. Only what we changed ourselves is looked at, and of that only the very fields: what an
 * object gets besides, as defaults or a sidecar, is not among them. A thing that was made has no such fields.
 * @param digest - SHA-256 as hex of a state
 */
export const rewrittenFields = (sent: readonly Sent[], answered: unknown, digest: (state: unknown) => string): Rewritten | undefined => {
  const paths = sent.flatMap(({ path, after }) => {
    if (path === '') return [];
    const got = valueAt(answered, path);
    if (after === undefined) return got === undefined ? [] : [path];
    return compareState(after, got, path).flatMap((one) => (isSameAmount(one.desired, one.observed) ? [] : [one.path]));
  });
  return paths.length > 0 ? { paths, hash: digest(withoutFields(answered, paths)) } : undefined;
};
