/** Release of the Open Policy Agent that the set-up builds: its program compiles the Rego of policies. */
export declare const opaVersion: string;

/** Where the set-up keeps the `opa` program that it built. */
export declare const cachedOpa: (cache?: string) => string;

/**
 * The `opa` program of this machine: the one on the path, else the one in our cache. Looks only; fetches nothing.
 * @param options.searchPath - folders as in the PATH variable, which is the default
 * @param options.cache - our cache folder, `~/.cache/quarterdeck` by default
 * @returns absolute path, or undefined where the machine has none (`deploy/setup/prepare.mjs --for full` builds it)
 */
export declare const findOpa: (options?: { searchPath?: string; cache?: string }) => string | undefined;
