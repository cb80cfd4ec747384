import type { TextEdit } from './text-edit.ts';

/** One thing that belongs to a connection: a member of an object, or an object with an id in a list. */
export type Addition =
  | { kind: 'member'; container: string; name: string; value: Record<string, unknown> }
  | { kind: 'item'; container: string; name: string; value: Record<string, unknown> };

/** A way to write configuration, and to change it without touching what is not ours. */
export type ConfigFormat = {
  /** The whole as plain data. @throws {CliError} naming the place in `file` that cannot be read */
  read(text: string, file: string): Record<string, unknown>;
  /** Edits that add something that is not there, each made on what the one before it left. */
  add(text: string, addition: Addition): TextEdit[];
  /** Edits that take it out, comments of others left standing. */
  remove(text: string, addition: Addition): TextEdit[];
  /** A document that holds nothing else. */
  write(additions: readonly Addition[]): string;
};

/** What stands in a configuration under the name of an addition. */
export const findAddition = (data: Record<string, unknown>, { kind, container, name }: Addition): unknown => {
  const holder = data[container];
  if (kind === 'item') return Array.isArray(holder) ? holder.find((item) => (item as { id?: unknown } | null)?.id === name) : undefined;
  return typeof holder === 'object' && holder !== null && Object.hasOwn(holder, name)
    ? (holder as Record<string, unknown>)[name]
    : undefined;
};
