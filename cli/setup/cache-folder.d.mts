/**
 * Where everything is kept that is fetched or built once per user and shared by all clones: Temporal, the tiny model.
 * @returns absolute path; the folder may not exist yet
 */
export declare const cacheFolder: () => string;
