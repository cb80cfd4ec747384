import { parseRootKey, type RootKey } from './root-key.ts';

/** What became of a root key since this process started: `text` is how it was then, `next` how it is now. */
export type RootKeyChange = { text: string; next: string };

/**
 * The root keys of this process with the versions that they have now, each under the text that the process was started with. It is the one
 * thing here that all of a process shares: whatever was made from a key has to follow it, wherever it is used.
 */
const roots = new Map<string, RootKey>();

/** @throws {PlatformError} `secret_unavailable` */
export const rootKeyNow = (text: string): RootKey => {
  const known = roots.get(text);
  if (known) return known;
  const root = parseRootKey(text);
  roots.set(text, root);
  return root;
};

/**
 * Takes up the versions that a root key has by now. What was sealed by one that is gone does not open any more; keys that things are found
 * by stay as they were.
 * @throws {PlatformError} `secret_unavailable` for a text that is none; nothing changes then
 */
export const takeUpRootKeys = (changes: readonly RootKeyChange[]): void => {
  for (const [text, root] of changes.map(({ text, next }) => [text, parseRootKey(next)] as const)) roots.set(text, root);
};
