import type { JsonObject } from '../../agents/json.ts';
import { valueAt } from '../../reconcile/json-pointer.ts';
import type { TargetCall } from '../../schema/resources/reconcile-target.ts';
import { McpRefusal } from './mcp-failure.ts';

type Found = { desired: unknown; observed: unknown };
const sources = { $desired: 'desired', $observed: 'observed' } as const;

const fill = (value: unknown, found: Found): unknown => {
  if (Array.isArray(value)) return value.map((item) => fill(item, found));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [[name, pointer] = []] = entries;
  if (entries.length === 1 && typeof pointer === 'string' && (name === '$desired' || name === '$observed')) {
    const at = valueAt(found[sources[name]], pointer);
    if (at === undefined) throw new McpRefusal('invalid', `There is nothing at ${pointer || 'the root'} of what is ${sources[name]}.`);
    return at;
  }
  return Object.fromEntries(entries.map(([member, inner]) => [member, fill(inner, found)]));
};

/**
 * Arguments of a declared call as it is made: `{"$desired": "/a"}` is what was declared at `/a` of the observation that the action is of,
 * `{"$observed": "/a"}` what was seen there when the plan was made; the empty pointer is the whole.
 * @throws {McpRefusal} `invalid` where a pointer points at nothing
 */
export const fillArguments = ({ arguments: given }: TargetCall, found: Found): JsonObject => fill(given, found) as JsonObject;
