export type Schema = Readonly<Record<string, unknown>>;
/** Turns the schema at `path` (a JSON pointer, for messages) into a grammar expression. */
export type CompileSchema = (schema: unknown, path: string) => string;
