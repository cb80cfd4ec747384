import type { ToolsetServer } from '../../schema/resources/toolset.ts';
import type { Definition } from '../../store/definition.ts';
import { isObject, type JsonObject, objectAt, textOf } from '../mcp/message.ts';
import { type ParameterHeader, parameterHeadersOf } from './parameter-headers.ts';

export type ShownDefinition =
  | { ok: true; shown: JsonObject; fixed: JsonObject; headers: readonly ParameterHeader[] }
  | { ok: false; reason: string };

/** The schema without arguments that the toolset gives itself. */
const withoutArguments = (schema: JsonObject, fixed: JsonObject): JsonObject => {
  const properties = Object.fromEntries(Object.entries(objectAt(schema, 'properties')).filter(([name]) => !Object.hasOwn(fixed, name)));
  const required = Array.isArray(schema.required) ? schema.required.filter((name) => !Object.hasOwn(fixed, textOf(name))) : undefined;
  return { ...schema, properties, ...(required ? { required } : {}) };
};

/** A pinned definition as callers of a toolset see it; nothing of it changes but what the toolset says. */
export const showDefinition = (pinned: Definition, name: string, part: ToolsetServer): ShownDefinition => {
  const { definition, kind } = pinned;
  const description = Object.hasOwn(part.describe, pinned.name) ? { description: part.describe[pinned.name] } : {};
  const named = { ...definition, [kind === 'template' ? 'uriTemplate' : 'name']: name, ...description };
  if (kind !== 'tool') return { ok: true, shown: named, fixed: {}, headers: [] };
  const fixed: JsonObject = (Object.hasOwn(part.fix, pinned.name) ? part.fix[pinned.name] : undefined) ?? {};
  const { inputSchema } = definition as JsonObject;
  const strange = Object.keys(fixed).filter(
    (argument) => !isObject(inputSchema) || !Object.hasOwn(objectAt(inputSchema, 'properties'), argument),
  );
  if (strange.length > 0) return { ok: false, reason: `\`fix\` names arguments that it does not have (${strange.join(', ')})` };
  const ownHeaders = parameterHeadersOf(inputSchema);
  if (!ownHeaders.ok) return { ok: false, reason: `its headers are not valid: ${ownHeaders.reason}` };
  const shown =
    isObject(inputSchema) && Object.keys(fixed).length > 0 ? { ...named, inputSchema: withoutArguments(inputSchema, fixed) } : named;
  const headers = ownHeaders.headers.filter(({ path: [first = ''] }) => !Object.hasOwn(fixed, first));
  return { ok: true, shown, fixed, headers };
};
