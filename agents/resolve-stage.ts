import type { Stage } from '../schema/resources/fleet.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';

/** What the expressions of a stage may name. `item` is the element of `forEach` that the agent is for. */
export type StageContext = { inputs: JsonObject; run: JsonObject; stages: JsonObject; item?: Json };

export type Resolved<T> = { ok: true; value: T } | { ok: false; problem: string };
/** Renders a template over a context. */
export type RenderTemplate = (template: string, context: StageContext) => Resolved<string>;

/** What one agent of a stage is given. */
export type AgentTask = { item: Json | undefined; input: JsonObject };

/** Follows a dotted path such as `stages.scout.output.files.0`; undefined where nothing stands there. */
export const lookUp = (path: string, context: StageContext): Json | undefined => {
  let value: Json | undefined = context as unknown as Json;
  for (const part of path.split('.')) {
    if (Array.isArray(value)) value = /^\d{1,6}$/.test(part) ? value[Number(part)] : undefined;
    else value = isJsonObject(value) && Object.hasOwn(value, part) ? value[part] : undefined;
    if (value === undefined) return undefined;
  }
  return value;
};

const missing = (path: string): { ok: false; problem: string } => ({ ok: false, problem: `\`${path}\` has no value` });

const resolveValue = (value: Json, context: StageContext, render: RenderTemplate): Resolved<Json> => {
  if (Array.isArray(value)) {
    const items: Json[] = [];
    for (const item of value) {
      const resolved = resolveValue(item, context, render);
      if (!resolved.ok) return resolved;
      items.push(resolved.value);
    }
    return { ok: true, value: items };
  }
  if (!isJsonObject(value)) return { ok: true, value };
  const keys = Object.keys(value);
  if (keys.length === 1 && typeof value.from === 'string') {
    const found = lookUp(value.from, context);
    return found === undefined ? missing(value.from) : { ok: true, value: found };
  }
  if (keys.length === 1 && typeof value.template === 'string') return render(value.template, context);
  return resolveObject(value, context, render);
};

const resolveObject = (value: JsonObject, context: StageContext, render: RenderTemplate): Resolved<JsonObject> => {
  const entries: [string, Json][] = [];
  for (const [key, inner] of Object.entries(value)) {
    const resolved = resolveValue(inner, context, render);
    if (!resolved.ok) return resolved;
    entries.push([key, resolved.value]);
  }
  return { ok: true, value: Object.fromEntries(entries) };
};

/**
 * Works out what each agent of a stage is given: one task, or with `forEach` one for each distinct element of its list, which may be
 * empty. The same context gives the same tasks in the same order.
 */
export const resolveStage = (stage: Stage, context: StageContext, render: RenderTemplate): Resolved<AgentTask[]> => {
  const taskFor = (item: Json | undefined): Resolved<AgentTask> => {
    const resolved = resolveObject(stage.input as JsonObject, item === undefined ? context : { ...context, item }, render);
    return resolved.ok ? { ok: true, value: { item, input: resolved.value } } : resolved;
  };
  if (stage.forEach === undefined) {
    const task = taskFor(undefined);
    return task.ok ? { ok: true, value: [task.value] } : task;
  }
  const list = lookUp(stage.forEach, context);
  if (list === undefined) return missing(stage.forEach);
  if (!Array.isArray(list)) return { ok: false, problem: `\`${stage.forEach}\` is no list` };
  const distinct = new Map(list.map((item) => [JSON.stringify(item), item]));
  const tasks: AgentTask[] = [];
  for (const item of distinct.values()) {
    const task = taskFor(item);
    if (!task.ok) return task;
    tasks.push(task.value);
  }
  return { ok: true, value: tasks };
};
