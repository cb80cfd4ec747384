/** Releases of the API server that tests ask, and of the store behind it. */
export declare const kubernetesVersion: string;
export declare const etcdVersion: string;

/** Where the set-up keeps the programs that it built; they may not be there yet. */
export declare const kubernetesPrograms: () => { apiServer: string; etcd: string };
