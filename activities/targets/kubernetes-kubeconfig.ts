import type { Cluster, Context, KubeConfig, User } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { z } from 'zod';

/** How the cluster is reached that this process runs in; from the process's configuration. */
export type OwnCluster = { server: string; caFile: string; tokenFile: string };

const ClusterSchema = z.strictObject({
  server: z.url({ protocol: /^https$/ }),
  'certificate-authority-data': z.string().optional(),
  'tls-server-name': z.string().optional(),
  extensions: z.unknown().optional(),
});
const UserSchema = z.strictObject({
  token: z.string().optional(),
  'client-certificate-data': z.string().optional(),
  'client-key-data': z.string().optional(),
  extensions: z.unknown().optional(),
});
const name = z.string();
/** Only what carries its bytes along: a name of a file would have files of the worker read, a program or a plug-in would run here. */
const KubeconfigSchema = z.looseObject({
  'current-context': z.string().default(''),
  clusters: z.array(z.looseObject({ name, cluster: ClusterSchema })),
  users: z.array(z.looseObject({ name, user: UserSchema })),
  contexts: z.array(z.looseObject({ name, context: z.looseObject({ cluster: z.string(), user: z.string() }) })),
});

/** What was checked, field by field as the client library takes it. */
const optionsOf = ({
  clusters,
  users,
  contexts,
  ...others
}: z.infer<typeof KubeconfigSchema>): { clusters: Cluster[]; users: User[]; contexts: Context[]; currentContext: string } => ({
  clusters: clusters.map(({ name, cluster }) => {
    const { server, 'certificate-authority-data': caData, 'tls-server-name': tlsServerName } = cluster;
    return {
      ...{ name, server, skipTLSVerify: false },
      ...(caData === undefined ? {} : { caData }),
      ...(tlsServerName === undefined ? {} : { tlsServerName }),
    };
  }),
  users: users.map(({ name, user }) => {
    const { token, 'client-certificate-data': certData, 'client-key-data': keyData } = user;
    return {
      name,
      ...(token === undefined ? {} : { token }),
      ...(certData === undefined ? {} : { certData }),
      ...(keyData === undefined ? {} : { keyData }),
    };
  }),
  contexts: contexts.map(({ name, context: { cluster, user } }) => ({ name, cluster, user })),
  currentContext: others['current-context'],
});

/** What is wrong with a kubeconfig, by fields and never by their values. */
export class KubeconfigError extends Error {}

/**
 * Reads a kubeconfig that somebody else wrote.
 * @param context - by default the one that it calls its current one
 * @throws {KubeconfigError} what cannot be read, or would read files or run programs where we run
 */
export const readKubeconfig = async (text: string, context?: string): Promise<KubeConfig> => {
  let content: unknown;
  try {
    content = parse(text);
  } catch {
    throw new KubeconfigError('the kubeconfig is not YAML');
  }
  const read = KubeconfigSchema.safeParse(content);
  if (!read.success) {
    const fields = [...new Set(read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`))].slice(0, 5).join('; ');
    throw new KubeconfigError(
      `the kubeconfig cannot be used (${fields}); it has to carry certificates and tokens in itself (\`kubectl config view --minify --flatten --raw\`), without \`exec\`, \`auth-provider\`, files or \`insecure-skip-tls-verify\``,
    );
  }
  const { KubeConfig: Config } = await import('@kubernetes/client-node'); // large, so it is loaded with the first target
  const config = new Config();
  // never from the text: the library's own parser reads lines and keys in it that ours does not, a program to run among them
  config.loadFromOptions(optionsOf(read.data));
  const current = context ?? config.getCurrentContext();
  const found = config.getContextObject(current);
  if (!found)
    throw new KubeconfigError(`the kubeconfig has no context \`${current}\`; it has ${config.contexts.map((one) => one.name).join(', ')}`);
  config.setCurrentContext(current);
  if (!config.getCurrentCluster() || !config.getCurrentUser())
    throw new KubeconfigError(`the context \`${current}\` names a cluster or a user that the kubeconfig does not have`);
  return config;
};

/** The cluster that this process runs in, as its pod's service account. */
export const ownKubeconfig = async ({ server, caFile, tokenFile }: OwnCluster): Promise<KubeConfig> => {
  const { KubeConfig: Config } = await import('@kubernetes/client-node');
  const config = new Config();
  config.loadFromClusterAndUser(
    { name: 'here', server, caFile, skipTLSVerify: false },
    { name: 'pod', authProvider: { name: 'tokenFile', config: { tokenFile } } },
  );
  return config;
};
