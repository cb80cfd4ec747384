import { isPlatformError, PlatformError } from '../schema/errors.ts';
import type { SecretReference } from '../schema/resources/metadata.ts';
import { readReference } from '../store/secrets/references.ts';
import { formatRootKey, parseRootKey } from '../store/secrets/root-key.ts';
import { openSecretStores } from '../store/secrets/secret-stores.ts';
import { redactor } from '../telemetry/redactor.ts';
import type { Config } from './config.ts';
import { databaseUrlForm, type InstallationReferences, readDatabaseUrl } from './installation-references.ts';

type Variable = keyof InstallationReferences;

/** No org is called so: a Secret that is labelled for it is none of any tenant's. */
const installation = { org: 'Installation', project: 'Installation' };

/** A reference as the variable has it; it names a place, and is no secret. */
const textOf = (reference: SecretReference): string => {
  if ('file' in reference) return `file:${reference.file}`;
  if ('env' in reference) return `env:${reference.env}`;
  if ('vault' in reference) return `vault:${reference.vault.path}#${reference.vault.field}`;
  if ('kubernetes' in reference) {
    const { namespace, secret, key } = reference.kubernetes;
    return `kubernetes:${namespace === undefined ? '' : `${namespace}/`}${secret}#${key}`;
  }
  return 'keychain';
};

const failed = (variable: Variable, reference: SecretReference, why: string): PlatformError =>
  new PlatformError('input_invalid', `The environment variable ${variable} leads to ${textOf(reference)}: ${why}`);

/** Parts of a value are no more to be shown than the whole. */
const readRootKey = (text: string): string | undefined => {
  try {
    const root = parseRootKey(text);
    for (const { bytes } of root.versions) redactor.know(bytes.toString('base64'));
    return formatRootKey(root).replaceAll('\n', ' ');
  } catch {
    return undefined;
  }
};
const readUrl = (text: string): string | undefined => {
  const url = readDatabaseUrl(text);
  if (url !== undefined) redactor.know(decodeURIComponent(new URL(url).password));
  return url;
};
const readers: Readonly<Record<Variable, { read: (text: string) => string | undefined; form: string }>> = {
  DATABASE_URL: { read: readUrl, form: databaseUrlForm },
  QUARTERDECK_CONTENT_KEY: { read: readRootKey, form: '32 bytes in base64, or versions of a key' },
  QUARTERDECK_GATEWAY_KEY: { read: readRootKey, form: '32 bytes in base64, or versions of a key' },
  QUARTERDECK_ISSUER_KEY: { read: readRootKey, form: '32 bytes in base64, or versions of a key' },
};

/**
 * Reads what the installation's own references lead to, once, before anything is started: Vault and Kubernetes are asked as the environment
 * says, and by no tenant's rules. Where they lead is closed to what tenants declare: files by their paths, variables by not being there.
 * @throws {PlatformError} `input_invalid`, naming the variable and the place, never what is there
 */
export const resolveInstallation = async (config: Config): Promise<Config> => {
  const references = Object.entries(config.references) as [Variable, SecretReference][];
  if (references.length === 0) return config;
  const { vault, ...others } = config.secretStores;
  const stores = openSecretStores({ ...others, ...(vault ? { vault: { ...vault, paths: ['*'] } } : {}) });
  const values: Partial<Record<Variable, string>> = {};
  try {
    for (const [variable, reference] of references) {
      let text: string;
      try {
        text = await readReference(reference, { environment: config.environment, stores }, installation);
      } catch (error) {
        if (!isPlatformError(error)) throw error;
        throw failed(variable, reference, error.detail);
      }
      const { read, form } = readers[variable];
      const value = read(text);
      if (value === undefined) throw failed(variable, reference, `what is there is not ${form}.`);
      values[variable] = value;
    }
  } finally {
    await stores.close();
  }
  const hidden = new Set(references.flatMap(([, reference]) => ('env' in reference ? [reference.env] : [])));
  return {
    ...config,
    databaseUrl: values.DATABASE_URL ?? config.databaseUrl,
    rootKeys: {
      'content.key': values.QUARTERDECK_CONTENT_KEY,
      'gateway.key': values.QUARTERDECK_GATEWAY_KEY,
      'issuer.key': values.QUARTERDECK_ISSUER_KEY,
    },
    privatePaths: [...config.privatePaths, ...references.flatMap(([, reference]) => ('file' in reference ? [reference.file] : []))],
    environment: Object.fromEntries(Object.entries(config.environment).filter(([name]) => !hidden.has(name))),
    references: {},
  };
};
