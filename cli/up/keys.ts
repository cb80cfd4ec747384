import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { makeAuthority } from '../../runtime/egress/make-certificate.ts';
import type { RootName } from '../../schema/seal-key.ts';
import { type AuditKeyJwk, makeAuditKey } from '../../store/audit-key.ts';
import { formatRootKey, parseRootKey, type RootKey } from '../../store/secrets/root-key.ts';
import { signingKeysSealOf } from '../../store/secrets/seal.ts';
import { cannotStart } from './cannot-start.ts';
import type { DataFolder } from './data-folder.ts';

/** Keys by which our processes know each other, the password of the embedded Postgres, and what people's tokens are made from. */
const InternalKeysSchema = z.object({
  gatewayToHost: z.string().min(32),
  gatewayToLocalModel: z.string().min(32),
  postgresPassword: z.string().min(32),
  personTokens: z.string().min(32),
});

/** Signs how far the audit had come (RFC 8037). */
const AuditKeySchema = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), d: z.string() });

const SigningKeysSchema = z.array(z.looseObject({ kty: z.string(), kid: z.string() }));
/** Certificate and key of the authority that cages trust, PEM. */
const EgressAuthoritySchema = z.object({ certificate: z.string().startsWith('-----BEGIN'), key: z.string().startsWith('-----BEGIN') });

/** Keys that wrap others, with all of their versions. */
export type RootKeys = {
  /** Wraps the keys of orgs, of pseudonyms and of grants; one word or several, see `parseRootKey`. */
  contentKey: string;
  /** Wraps those of the gateway's rows and of approvals. */
  gatewayKey: string;
  /** Seals the issuer's signing keys and codes of devices; until it is rotated it is made from another secret. */
  issuerKey: string;
};

export type Keys = RootKeys & {
  /** Private JWKs of the issuer from before they stood in the database; the first one signs there until its turn is over. */
  signingKeys: z.infer<typeof SigningKeysSchema>;
  /** Private JWK that signs checkpoints of the audit. */
  auditSigningKey: AuditKeyJwk;
  /** With its key one could read what caged servers send to hosts with a secret. */
  egressAuthority: z.infer<typeof EgressAuthoritySchema>;
  internal: z.infer<typeof InternalKeysSchema>;
};

const files = {
  content: 'content.key',
  gateway: 'gateway.key',
  issuer: 'issuer.json',
  audit: 'audit.json',
  egress: 'egress-authority.json',
  internal: 'internal.json',
} as const;
const secret = (): string => randomBytes(32).toString('base64url');

/** Made aside and renamed whole: after a kill there are all keys or none. */
const makeKeys = (folder: string, given: Partial<Record<RootName, string | undefined>>): void => {
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  const write = (name: string, text: string): void => writeFileSync(join(unfinished, name), `${text}\n`, { mode: 0o600 });
  for (const name of ['content.key', 'gateway.key'] as const)
    if (given[name] === undefined) write(name, randomBytes(32).toString('base64'));
  write(files.audit, JSON.stringify(makeAuditKey()));
  const internal: z.infer<typeof InternalKeysSchema> = {
    gatewayToHost: secret(),
    gatewayToLocalModel: secret(),
    postgresPassword: secret(),
    personTokens: secret(),
  };
  write(files.internal, JSON.stringify(internal));
  renameSync(unfinished, folder);
};

/**
 * Folders from before checkpoints have no key for them and get one. Where checkpoints were made already, a new key would make all of them
 * look forged, so a lost one is said.
 */
const addAuditKey = ({ keys, checkpoints }: Pick<DataFolder, 'keys' | 'checkpoints'>): void => {
  const path = join(keys, files.audit);
  if (existsSync(path)) return;
  if (existsSync(checkpoints)) throw unusable(path, undefined);
  writeFileSync(`${path}.unfinished`, `${JSON.stringify(makeAuditKey())}\n`, { mode: 0o600 });
  renameSync(`${path}.unfinished`, path);
};

/** One that is lost is made anew: servers that are started from then on trust the new one. */
const addEgressAuthority = ({ keys }: Pick<DataFolder, 'keys'>): void => {
  const path = join(keys, files.egress);
  if (existsSync(path)) return;
  writeFileSync(`${path}.unfinished`, `${JSON.stringify(makeAuthority(new Date()))}\n`, { mode: 0o600 });
  renameSync(`${path}.unfinished`, path);
};

const unusable = (path: string, cause: unknown) =>
  cannotStart(
    `The key file ${path} is missing or damaged: put its copy back from a backup of the folder ${basename(join(path, '..'))}.`,
    cause,
  );

type KeyFolder = Pick<DataFolder, 'keys'>;

const readFile = <T>(folder: KeyFolder, name: string, parse: (text: string) => T): T => {
  const path = join(folder.keys, name);
  try {
    return parse(readFileSync(path, 'utf8').trim());
  } catch (cause) {
    throw unusable(path, cause);
  }
};

const rootKey = (text: string): string => formatRootKey(parseRootKey(text)).replaceAll('\n', ' ');

/**
 * The keys that wrap others, as they stand now: out of their files, or from elsewhere.
 * @param given - keys that come from elsewhere
 * @throws {PlatformError} `input_invalid` where one is missing, damaged, or from elsewhere without the versions that its file has
 */
export const readRootKeys = (
  folder: KeyFolder,
  given: Partial<Record<RootName, string | undefined>>,
  { internal }: Pick<Keys, 'internal'>,
): RootKeys => {
  /** A key from elsewhere beside a file of its name has to be the same: what the file's has wrapped would not open. */
  const confirmed = (name: RootName, text: string): string => {
    const path = join(folder.keys, name);
    if (!existsSync(path)) return text;
    const versions = new Set(parseRootKey(text).versions.map(({ id, bytes }) => `${id}:${bytes.toString('base64')}`));
    const inFile = parseRootKey(readFile(folder, name, rootKey)).versions;
    if (inFile.every(({ id, bytes }) => versions.has(`${id}:${bytes.toString('base64')}`))) return text;
    throw cannotStart(
      `The reference to ${name} leads to a key that lacks a version of the file ${path}: put what is in the file there too, or move the file away if nothing was kept with it.`,
    );
  };
  /** A root key from elsewhere, or out of its file; `first` is what there is without either. */
  const rootOf = (name: RootName, first?: string): string => {
    const elsewhere = given[name];
    if (elsewhere !== undefined) return confirmed(name, elsewhere);
    return first !== undefined && !existsSync(join(folder.keys, name)) ? first : readFile(folder, name, rootKey);
  };
  return {
    contentKey: rootOf('content.key'),
    gatewayKey: rootOf('gateway.key'),
    issuerKey: rootOf('issuer.key', signingKeysSealOf(internal.personTokens)),
  };
};

/**
 * Reads the keys of a data folder, and makes them at its first start.
 * @param given - keys that come from elsewhere; of these no file is made
 * @throws {PlatformError} `input_invalid` when data is there and a key is not: new keys would not open what is stored
 */
export const loadKeys = async (
  folder: Pick<DataFolder, 'keys' | 'postgres' | 'checkpoints'>,
  given: Partial<Record<RootName, string | undefined>> = {},
): Promise<Keys> => {
  if (!existsSync(folder.keys)) {
    if (existsSync(folder.postgres)) throw unusable(join(folder.keys, files.content), undefined);
    makeKeys(folder.keys, given);
  }
  chmodSync(folder.keys, 0o700);
  addAuditKey(folder);
  addEgressAuthority(folder);
  const internal = readFile(folder, files.internal, (text) => InternalKeysSchema.parse(JSON.parse(text)));
  return {
    ...readRootKeys(folder, given, { internal }),
    signingKeys: existsSync(join(folder.keys, files.issuer))
      ? readFile(folder, files.issuer, (text) => SigningKeysSchema.parse(JSON.parse(text)))
      : [],
    auditSigningKey: readFile(folder, files.audit, (text) => AuditKeySchema.parse(JSON.parse(text))),
    egressAuthority: readFile(folder, files.egress, (text) => EgressAuthoritySchema.parse(JSON.parse(text))),
    internal,
  };
};

/**
 * Changes the file of one of the keys that wrap others, whole or not at all; a running platform takes it up within seconds.
 * @throws {PlatformError} `input_invalid` where there is no such folder
 */
export const changeRootKey = (folder: Pick<DataFolder, 'keys'>, name: RootName, change: (root: RootKey) => RootKey): RootKey => {
  const path = join(folder.keys, name);
  const textIn = (file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch (cause) {
      throw unusable(file, cause);
    }
  };
  // the issuer's begins with what was made from another secret
  const text =
    name === 'issuer.key' && !existsSync(path)
      ? signingKeysSealOf(InternalKeysSchema.parse(JSON.parse(textIn(join(folder.keys, files.internal)))).personTokens)
      : textIn(path);
  const changed = change(parseRootKey(text));
  writeFileSync(`${path}.unfinished`, `${formatRootKey(changed)}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.unfinished`, path);
  return changed;
};
