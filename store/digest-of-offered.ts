import { createHash } from 'node:crypto';
import type { Definition } from './definition.ts';

/** Names all that a server offers, by the hashes of its definitions: the same text for the same offer, in whatever order. @param offered - by `kind/name` */
export const digestOfOffered = (offered: Iterable<readonly [string, string]>): string =>
  createHash('sha256')
    .update(JSON.stringify([...offered].map(([name, hash]) => `${name} ${hash}`).sort()))
    .digest('hex');

/** The same of what is written down of a server. */
export const digestOfDefinitions = (definitions: readonly Pick<Definition, 'kind' | 'name' | 'currentHash'>[]): string =>
  digestOfOffered(
    definitions.flatMap(({ kind, name, currentHash }) => (currentHash === '' ? [] : [[`${kind}/${name}`, currentHash] as const])),
  );
