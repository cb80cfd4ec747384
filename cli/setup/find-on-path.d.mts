/**
 * Finds a program as a shell would, without starting one.
 * @param name - file name of the program
 * @param searchPath - folders separated as in the PATH variable, which is the default
 * @returns absolute path of the first executable file of that name, or undefined
 */
export declare const findOnPath: (name: string, searchPath?: string) => string | undefined;

/** Whether `path` is a file that this user may execute. */
export declare const isExecutable: (path: string) => boolean;
