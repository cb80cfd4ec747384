import type { Era } from '../../schema/mcp-revisions.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';

/**
 * An item of a list as clients of an era read it. Legacy clients know output schemas of objects only, and one tool with another costs
 * them the whole list; what a tool says of tasks is between a server and a caller who have no gateway between them.
 */
export const itemForEra = (item: JsonObject, era: Era): JsonObject => {
  const { execution: _execution, ...shown } = item;
  const { outputSchema, ...rest } = shown;
  if (era === 'legacy' && outputSchema !== undefined && !(isObject(outputSchema) && outputSchema.type === 'object')) return rest;
  return 'execution' in item ? shown : item;
};
