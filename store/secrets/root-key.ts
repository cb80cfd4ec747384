import { hkdfSync, randomBytes } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';

/** A version of a root key. The one from before any rotation has no id, and is called `original`. */
export type RootVersion = { id: string | undefined; bytes: Buffer };
/**
 * A key that other keys are wrapped by and made from. Of its versions the first wraps, the others open what they wrapped. `names` are keys
 * that things are found by (digests), by their purposes: kept when the version that they were made from goes, for names must not change.
 */
export type RootKey = { versions: readonly RootVersion[]; names: ReadonlyMap<string, Buffer> };

export const rootKeyBytes = 32;
const bytesOf = (base64: string): Buffer | undefined => {
  const bytes = /^[A-Za-z0-9+/]{43}=$/.test(base64) ? Buffer.from(base64, 'base64') : undefined;
  return bytes?.length === rootKeyBytes ? bytes : undefined;
};
const unusable = (why: string): PlatformError =>
  new PlatformError('secret_unavailable', `The key of this installation ${why}; restore the key file from its backup.`);

/**
 * Reads a root key: words with white space between, each `BASE64` (the original version), `ID:BASE64` (a later one, the id 16 hexadecimal
 * digits) or `name:PURPOSE=BASE64`, of 32 bytes each.
 * @throws {PlatformError} `secret_unavailable`, which never says what stands there
 */
export const parseRootKey = (text: string): RootKey => {
  const versions: RootVersion[] = [];
  const names = new Map<string, Buffer>();
  for (const word of text.trim().split(/\s+/)) {
    const [, purpose, id, encoded = ''] = /^(?:name:([^=]+)=|([0-9a-f]{16}):|)(.*)$/.exec(word) ?? [];
    const bytes = bytesOf(encoded);
    if (!bytes) throw unusable('is not 32 bytes in base64');
    if (purpose !== undefined) names.set(purpose, bytes);
    else versions.push({ id, bytes });
  }
  if (versions.length === 0) throw unusable('has no version');
  if (new Set(versions.map(({ id }) => id)).size < versions.length) throw unusable('has a version twice');
  return { versions, names };
};

const base64 = (bytes: Buffer): string => bytes.toString('base64');
/** The words of a root key, one a line: what its file holds. */
export const formatRootKey = ({ versions, names }: RootKey): string =>
  [
    ...versions.map(({ id, bytes }) => (id === undefined ? base64(bytes) : `${id}:${base64(bytes)}`)),
    ...[...names].map(([purpose, bytes]) => `name:${purpose}=${base64(bytes)}`),
  ].join('\n');

export const derive = (master: Buffer, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', master, Buffer.alloc(0), `quarterdeck/${purpose}`, 32));

/** The version from before any rotation; undefined once it is retired. */
export const originalOf = ({ versions }: RootKey): RootVersion | undefined => versions.find(({ id }) => id === undefined);

/** A root key for one purpose, for a process that is not to have this one: each version of it, and the names of that purpose. */
export const deriveRoot = ({ versions, names }: RootKey, purpose: string): RootKey => ({
  versions: versions.map(({ id, bytes }) => ({ id, bytes: derive(bytes, purpose) })),
  names: new Map([...names].flatMap(([path, bytes]) => (path.startsWith(`${purpose}/`) ? [[path.slice(purpose.length + 1), bytes]] : []))),
});

/** The same root key with another original version, where it still has one. */
export const withOriginal = (root: RootKey, original: Buffer): RootKey => ({
  ...root,
  versions: root.versions.map(({ id, bytes }) => ({ id, bytes: id === undefined ? original : bytes })),
});

/** @param place - `first`: it wraps from now on. `second`: it is known to all, before it wraps. */
export const addVersion = ({ versions, names }: RootKey, place: 'first' | 'second'): { root: RootKey; id: string } => {
  const made = { id: randomBytes(8).toString('hex'), bytes: randomBytes(rootKeyBytes) };
  const [first, ...rest] = versions as [RootVersion, ...RootVersion[]];
  return { id: made.id, root: { names, versions: place === 'first' ? [made, first, ...rest] : [first, made, ...rest] } };
};

/** Lets a version wrap that is known already. */
export const putFirst = ({ versions, names }: RootKey, id: string | undefined): RootKey => ({
  names,
  versions: [...versions.filter((each) => each.id === id), ...versions.filter((each) => each.id !== id)],
});

/**
 * Takes a version out. Of the original one the keys that things are found by stay.
 * @param purposes - by which things are found
 */
export const dropVersion = (root: RootKey, id: string | undefined, purposes: readonly string[]): RootKey => {
  const names = new Map(root.names);
  const original = originalOf(root);
  if (id === undefined && original)
    for (const path of purposes) {
      const parts = path.split('/');
      const purpose = parts.pop() as string;
      names.set(
        path,
        derive(
          parts.reduce((bytes, part) => derive(bytes, part), original.bytes),
          `${purpose}/digest`,
        ),
      );
    }
  return { names, versions: root.versions.filter((each) => each.id !== id) };
};
