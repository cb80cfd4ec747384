/** Releases of the cluster that tests ask: Kubernetes itself, the store behind it, and what plays its nodes. */
export declare const kubernetesVersion: string;
export declare const etcdVersion: string;
export declare const kwokVersion: string;

/** Where the set-up keeps the programs that it built; they may not be there yet. */
export declare const kubernetesPrograms: () => Record<'apiServer' | 'controllerManager' | 'scheduler' | 'etcd' | 'kwok', string>;
