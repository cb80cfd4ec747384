/** How our processes show Vault who they are. Files are read at each login, so that what is in them may change. */
export type VaultAuth =
  | { method: 'token'; token: string }
  | { method: 'approle'; roleId: string; secretIdFile: string; mount: string }
  | { method: 'kubernetes'; role: string; tokenFile: string; mount: string };

/** A server that speaks HashiCorp Vault's API, such as Vault or OpenBao. */
export type VaultSettings = {
  /** Origin, e.g. `https://vault.example.com:8200`. */
  address: string;
  namespace?: string | undefined;
  /** What references may name: `*` stands for anything, `{org}` and `{project}` for where the resource lives that refers to it. */
  paths: readonly string[];
  auth: VaultAuth;
};

/** The cluster whose Secrets may be referred to: by a kubeconfig file, or the one that this process runs in. */
export type KubernetesSettings = { namespace: string } & ({ kubeconfig: string } | { server: string; caFile: string; tokenFile: string });

/** Which secret stores there are; one that is not set up answers each reference with what is missing. They come with a process's configuration. */
export type SecretStoreSettings = { vault?: VaultSettings | undefined; kubernetes?: KubernetesSettings | undefined };
