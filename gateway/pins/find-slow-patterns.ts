import { withinTime } from '../../policy/within-time.ts';
import { isObject } from '../mcp/message.ts';
import { schemaWeight } from '../tool-call/schema-weight.ts';
import { isSlowPattern } from './is-slow-pattern.ts';

const longestPattern = 2_000;
const mostPatterns = 1_000;
/** More looks at one value than anybody needs, who is not out to keep somebody waiting. */
const mostLooks = 1_000_000;
/** For a definition: what is offered is not to keep the gateway busy by being judged. */
const longestJudgementMs = 50;

const patternsIn = (schema: unknown, found: Set<string>): void => {
  if (found.size > mostPatterns || typeof schema !== 'object' || schema === null) return;
  if (isObject(schema)) {
    if (typeof schema.pattern === 'string') found.add(schema.pattern);
    if (isObject(schema.patternProperties)) for (const name of Object.keys(schema.patternProperties)) found.add(name);
  }
  for (const inner of Object.values(schema)) patternsIn(inner, found);
};

/** @returns whether definitions refer to each other so often that one value is looked at for ever; those that contain themselves need not be */
const multiplies = (schema: unknown): boolean => {
  if (!isObject(schema)) return false;
  const looks = schemaWeight(schema);
  return Number.isFinite(looks) && looks > mostLooks;
};

/**
 * Says which patterns of a tool's schemas may take for ever on a text that is made for them, and whether its definitions may on any value. The
 * gateway breaks such a check off, but clients have one thread.
 * @returns one sentence part for each
 */
export const findSlowPatterns = (definition: Readonly<Record<string, unknown>>): string[] => {
  const schemas = [definition.inputSchema, definition.outputSchema];
  const judged = withinTime(longestJudgementMs, () => {
    const found = new Set<string>();
    patternsIn(schemas, found);
    const slow = [...found].flatMap((pattern) => {
      const named = `the pattern ${JSON.stringify(pattern.slice(0, 80))}`;
      if (pattern.length > longestPattern) return [`${named} … is too long to be judged`];
      return isSlowPattern(pattern) ? [`${named} can take for ever`] : [];
    });
    return [
      ...slow,
      ...(schemas.some(multiplies) ? ['its schema refers to its own definitions so often that checking a value can take for ever'] : []),
    ];
  });
  return judged.ok ? judged.value : ['its schemas are too much to be judged'];
};
