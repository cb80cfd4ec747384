import { isObject, type JsonObject } from '../mcp/message.ts';

/** What a call of `call_tool` is a call of. */
export type InnerCall = { ok: true; name: string; arguments: JsonObject } | { ok: false; reason: string };

const refused = (reason: string): InnerCall => ({ ok: false, reason });

/** The call as a model writes it that puts all of it one level too deep: `{ arguments: { name, arguments } }` or `{ arguments: { name, … } }`. */
const readNested = ({ name, ...rest }: JsonObject): InnerCall => {
  if (typeof name !== 'string' || name === '') return refused('`arguments.name` is missing');
  const keys = Object.keys(rest);
  const isWhole = keys.length === 1 && isObject(rest.arguments);
  return { ok: true, name, arguments: isWhole ? (rest.arguments as JsonObject) : rest };
};

/**
 * Reads which tool a call of `call_tool` is to call, and with what. This is the one reader: what is judged, counted and sent is made of
 * its answer alone, so that no two places can take the same text for two different calls. A name beside `arguments` is the name, and
 * nothing in them is looked at; only where there is none is one looked for in them.
 * @param given - the arguments of `call_tool`
 */
export const readInnerCall = (given: unknown): InnerCall => {
  if (!isObject(given)) return refused('`arguments` is not an object');
  const { name } = given;
  const inner = given.arguments === undefined ? {} : given.arguments;
  const stray = Object.keys(given).find((key) => key !== 'name' && key !== 'arguments');
  if (stray !== undefined)
    return refused(`\`arguments.${stray.slice(0, 128)}\` is not known; the arguments of the tool stand in \`arguments\``);
  if (!isObject(inner)) return refused('`arguments.arguments` is not an object');
  if (name === undefined) return readNested(inner);
  if (typeof name !== 'string' || name === '') return refused('`arguments.name` is no name of a tool');
  return { ok: true, name, arguments: inner };
};
