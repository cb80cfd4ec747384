import type { Json, JsonObject } from '../agents/json.ts';

/** An object whose values are there only when somebody looks, who is then heard of. */
const heard = (values: JsonObject, onLook: (name: string) => void): JsonObject => {
  const watched: JsonObject = {};
  for (const [name, value] of Object.entries(values))
    Object.defineProperty(watched, name, {
      enumerable: true,
      get: (): Json => {
        onLook(name);
        return value;
      },
    });
  return watched;
};

/**
 * The names of a context as a stage may look at them, whatever way it does: by a path, in a template, or as a whole. What it looked at is
 * in `looked` as `inputs.NAME` or `stages.STAGE.outputs`, `.output` or `.unfinished`.
 */
export const watchNames = (
  { inputs, stages }: { inputs: JsonObject; stages: JsonObject },
  looked: Set<string>,
): { inputs: JsonObject; stages: JsonObject } => ({
  inputs: heard(inputs, (name) => looked.add(`inputs.${name}`)),
  stages: Object.fromEntries(
    Object.entries(stages).map(([stage, values]) => [stage, heard(values as JsonObject, (name) => looked.add(`stages.${stage}.${name}`))]),
  ),
});
