import { readFile, realpath } from 'node:fs/promises';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { SecretReference } from '../../schema/resources/metadata.ts';
import { redactor } from '../../telemetry/redactor.ts';
import { ownerText, type SecretOwner } from './secret-owner.ts';
import { notSetUp, type SecretStores } from './secret-stores.ts';

/** Variables that are about the platform itself, or let it into the stores: a provider's key is in none of them. */
const ownVariables = /^(QUARTERDECK_|DATABASE_URL$|TEMPORAL_|PG|VAULT_|KUBE|OTEL_|PIP_)/;

/**
 * Where references may and may not lead: the environment is the process's, `privateDirectory` the installation's own data folder with its
 * keys, and `privatePaths` other files of its own, where none leads to, and `stores` are those that are kept apart.
 */
export type SecretSources = {
  environment: Readonly<Record<string, string | undefined>>;
  privateDirectory?: string | undefined;
  privatePaths?: readonly string[] | undefined;
  stores?: SecretStores | undefined;
};

const failed = (what: string, cause?: unknown): PlatformError => new PlatformError('secret_unavailable', what, { cause });

const readVariable = (name: string, { environment }: SecretSources): string => {
  if (ownVariables.test(name)) throw failed(`The environment variable ${name} is the platform's own and cannot be referred to.`);
  const value = environment[name];
  if (!value) throw failed(`The environment variable ${name} is not set where Quarterdeck runs; set it and restart Quarterdeck.`);
  return value;
};

const readSecretFile = async (file: string, { privateDirectory, privatePaths = [] }: SecretSources): Promise<string> => {
  const unreadable = (cause?: unknown): PlatformError =>
    failed(
      `The secret file ${file} cannot be read; check that it exists, its permissions, and that it lies outside the data folder.`,
      cause,
    );
  try {
    const path = await realpath(file);
    const named = privateDirectory === undefined ? privatePaths : [privateDirectory, ...privatePaths];
    const own = await Promise.all(named.map((each) => realpath(each).catch(() => each)));
    if (path.startsWith('/proc/') || own.some((each) => path === each || path.startsWith(`${each}/`))) throw unreadable();
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw isPlatformError(cause) ? cause : unreadable(cause);
  }
};

/** The account of a keychain entry: each tenant has its own, and none reaches what else the keychain holds. */
const accountOf = (entry: string, { org, project }: Pick<SecretOwner, 'org' | 'project'>): string => `${org}/${project}/${entry}`;

const read = (
  reference: SecretReference,
  sources: SecretSources,
  owner: Pick<SecretOwner, 'org' | 'project'>,
): string | Promise<string> => {
  const { stores } = sources;
  if ('env' in reference) return readVariable(reference.env, sources);
  if ('file' in reference) return readSecretFile(reference.file, sources);
  if ('kubernetes' in reference) {
    if (!stores?.kubernetes) throw notSetUp('Kubernetes', 'run in a cluster, or give KUBECONFIG');
    return stores.kubernetes.read(reference.kubernetes, owner);
  }
  if ('vault' in reference) {
    if (!stores?.vault) throw notSetUp('Vault', 'give VAULT_ADDR and a way to log in');
    return stores.vault.read(reference.vault, owner);
  }
  if (!stores?.keychain) throw notSetUp('The keychain', 'it is for a platform that a person runs with `quarterdeck up`');
  return stores.keychain.read(accountOf(reference.keychain, owner));
};

/**
 * Reads what a reference of the installation itself leads to; no log or error of this process shows it from then on.
 * @param owner - whose it has to be, for stores that tell tenants apart
 * @throws {PlatformError} `secret_unavailable`
 */
export const readReference = async (
  reference: SecretReference,
  sources: SecretSources,
  owner: Pick<SecretOwner, 'org' | 'project'>,
): Promise<string> => {
  const value = await read(reference, sources, owner);
  redactor.know(value);
  return value;
};

/**
 * Reads a referenced secret at the time of use; it is never stored, and from then on no log or error of this process shows it. Keys of the
 * installation itself cannot be referred to, or whoever declares a provider could have them sent there.
 * @param owner - the resource that refers to it: stores give only what is its tenant's, and messages name it
 * @throws {PlatformError} `secret_unavailable`
 */
export const resolveSecret = async (reference: SecretReference, sources: SecretSources, owner: SecretOwner): Promise<string> => {
  try {
    const value = await read(reference, sources, owner);
    redactor.know(value);
    return value;
  } catch (error) {
    if (!isPlatformError(error)) throw error;
    throw new PlatformError(error.code, `${ownerText(owner)}: ${error.detail}`, { cause: error.cause, facts: { ...error.facts } });
  }
};

/** Whoever was given the value refused it: what is kept of it is forgotten, so that the next use reads what it was rotated to. */
export const forgetSecret = (reference: SecretReference, { stores }: SecretSources, owner: SecretOwner): void => {
  if ('kubernetes' in reference) stores?.kubernetes?.forget(reference.kubernetes);
  if ('vault' in reference) stores?.vault?.forget(reference.vault);
  if ('keychain' in reference) stores?.keychain?.forget(accountOf(reference.keychain, owner));
};
