/** Says one line of the set-up. It goes to stderr: stdout belongs to the command that runs after it. */
export const say = (line) => process.stderr.write(`set-up: ${line}\n`);

/** Whole seconds since `startedAt` (from `performance.now()`), for a line that ends a step. */
export const secondsSince = (startedAt) => `${Math.round((performance.now() - startedAt) / 1000)} s`;

/** A step that could not be done. Its message is shown as it stands: what is missing, and what to do. */
export class SetupError extends Error {}
