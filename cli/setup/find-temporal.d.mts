/** Release of Temporal's command line that the set-up fetches or builds; it carries server 1.29.1. */
export declare const temporalVersion: string;

/** Where the set-up keeps the `temporal` program that it fetched or built. */
export declare const cachedTemporal: (cache?: string) => string;

/**
 * The `temporal` program of this machine: the one on the path, else the one in our cache. Looks only; fetches nothing.
 * @param options.searchPath - folders as in the PATH variable, which is the default
 * @param options.cache - our cache folder, `~/.cache/quarterdeck` by default
 * @returns absolute path, or undefined where the machine has none (`deploy/setup/prepare.mjs` gets it)
 */
export declare const findTemporal: (options?: { searchPath?: string; cache?: string }) => string | undefined;
