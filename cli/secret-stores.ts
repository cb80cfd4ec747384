import { z } from 'zod';
import type { SecretStoreSettings, VaultAuth } from '../store/secrets/settings.ts';
import { given } from './given.ts';

const absolute = z.string().startsWith('/', 'an absolute path');
const word = z.string().regex(/^[\x21-\x7e]+$/, 'printable characters without spaces');

/**
 * Variables about the stores that references to secrets may lead to. Those that are other programs' too stop no command, whatever is in
 * them: what cannot be used is as if it were not there, and a reference to the store says so.
 */
export const SecretStoreVariables = {
  /** Origin of a server with HashiCorp Vault's API (Vault, OpenBao). Default: none, and references to it are refused. */
  VAULT_ADDR: given(z.string()),
  /** Namespace of Vault that all is asked in. Default: none. */
  VAULT_NAMESPACE: given(z.string()),
  /** Token for Vault; secret. Default: a login by AppRole or Kubernetes. */
  VAULT_TOKEN: given(z.string()),
  /** Paths that references may name, with commas: `*` is anything, `{org}` and `{project}` are the resource's. */
  QUARTERDECK_VAULT_PATHS: given(z.string()),
  /** AppRole to log in with; its secret id is in the file of the next one. */
  QUARTERDECK_VAULT_ROLE_ID: given(word),
  /** File with the secret id of that AppRole, read at each login. */
  QUARTERDECK_VAULT_SECRET_ID_FILE: given(absolute),
  /** Role to log in with by the service account of this pod. */
  QUARTERDECK_VAULT_KUBERNETES_ROLE: given(word),
  /** Where the method of that login is mounted. Default: `approle` or `kubernetes`. */
  QUARTERDECK_VAULT_AUTH_MOUNT: given(z.string().regex(/^[\w/-]+$/, 'letters, digits, `-`, `_` and `/`')),
  /** File with the cluster whose Secrets may be referred to. Default: the cluster that this runs in, if it does. */
  KUBECONFIG: given(z.string()),
  /** Namespace of Secrets whose reference names none. Default: `quarterdeck`. */
  QUARTERDECK_KUBERNETES_NAMESPACE: given(z.string().regex(/^[a-z0-9-]{1,63}$/, 'the name of a namespace')),
  /** Set in every pod. */
  KUBERNETES_SERVICE_HOST: given(z.string()),
  KUBERNETES_SERVICE_PORT: given(z.string()),
};
type Variables = z.infer<z.ZodObject<typeof SecretStoreVariables>>;

/** Where a pod finds what it is in its cluster. */
const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';
/** A tenant's own folder of the usual engine, and roles of the database engine that bear its name. */
const defaultPaths = 'secret/{org}/{project}/*,database/creds/{org}.{project}.*';

const vaultAuth = (values: Variables): VaultAuth | undefined => {
  const mount = values.QUARTERDECK_VAULT_AUTH_MOUNT;
  const { VAULT_TOKEN: token, QUARTERDECK_VAULT_ROLE_ID: roleId, QUARTERDECK_VAULT_SECRET_ID_FILE: secretIdFile } = values;
  if (roleId && secretIdFile) return { method: 'approle', roleId, secretIdFile, mount: mount ?? 'approle' };
  const role = values.QUARTERDECK_VAULT_KUBERNETES_ROLE;
  if (role) return { method: 'kubernetes', role, tokenFile: `${serviceAccount}/token`, mount: mount ?? 'kubernetes' };
  return token ? { method: 'token', token } : undefined;
};

const isOrigin = (text: string | undefined): text is string => text !== undefined && URL.canParse(text) && /^https?:/.test(text);

/** Which stores there are, by the environment. */
export const readSecretStores = (values: Variables): SecretStoreSettings => {
  const namespace = values.QUARTERDECK_KUBERNETES_NAMESPACE ?? 'quarterdeck';
  const kubeconfig = values.KUBECONFIG?.split(':').find((path) => path.startsWith('/'));
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = values;
  const here = host
    ? {
        namespace,
        server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
        caFile: `${serviceAccount}/ca.crt`,
        tokenFile: `${serviceAccount}/token`,
      }
    : undefined;
  const auth = vaultAuth(values);
  const paths = (values.QUARTERDECK_VAULT_PATHS ?? defaultPaths).split(',').map((path) => path.trim());
  return {
    ...(auth && isOrigin(values.VAULT_ADDR)
      ? { vault: { address: values.VAULT_ADDR.replace(/\/$/, ''), namespace: values.VAULT_NAMESPACE, paths, auth } }
      : {}),
    ...(kubeconfig ? { kubernetes: { namespace, kubeconfig } } : here ? { kubernetes: here } : {}),
  };
};

/**
 * Files by which the platform itself is let into its stores and its cluster: who could refer to one could have it sent elsewhere. A kubeconfig
 * that is given is not among them: on a machine of one's own it is also what targets are reached by.
 */
export const filesOfStores = ({ vault, kubernetes }: SecretStoreSettings): string[] => {
  const { auth } = vault ?? {};
  return [
    serviceAccount,
    ...(auth?.method === 'approle' ? [auth.secretIdFile] : auth?.method === 'kubernetes' ? [auth.tokenFile] : []),
    ...(kubernetes && 'tokenFile' in kubernetes ? [kubernetes.tokenFile] : []),
  ];
};
