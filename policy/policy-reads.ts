import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';

/** One place where a policy looks: attributes from a variable on. A last `*` stands for the entity itself, its ancestors included. */
export type Read = { variable: 'principal' | 'action' | 'resource' | 'context'; path: readonly string[] };

type Node = Readonly<Record<string, unknown>>;

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A condition holds something that is not followed here, so it may look anywhere. */
class NotFollowed extends Error {}

/** A variable and the attributes after it, as in `resource.server.isolation`; undefined for any other expression. */
export const chainOf = (expression: unknown): Read | undefined => {
  if (!isNode(expression)) return undefined;
  const { Var: variable, '.': access } = expression;
  if (typeof variable === 'string') return { variable: variable as Read['variable'], path: [] };
  if (!isNode(access) || typeof access.attr !== 'string') return undefined;
  const left = chainOf(access.left);
  return left && { variable: left.variable, path: [...left.path, access.attr] };
};

/** `left has attribute`, and `left in right`: these look into the entity that `left` is, which must be named by a chain. */
const lookInto = (left: unknown, attributes: readonly string[]): Read => {
  const chain = chainOf(left);
  if (!chain) throw new NotFollowed();
  return { variable: chain.variable, path: [...chain.path, ...attributes] };
};

/** Operators that look at nothing but their operands, by the names that Cedar's JSON gives them. */
const plainOperators: ReadonlySet<string> = new Set([
  ...['!', 'neg', '==', '!=', '<', '<=', '>', '>=', '&&', '||', '+', '-', '*'],
  ...['contains', 'containsAll', 'containsAny', 'isEmpty', 'like', 'is', 'if-then-else'],
]);
const operandNames = ['left', 'right', 'arg', 'if', 'then', 'else'];

const collect = (expression: unknown, reads: Read[]): void => {
  const chain = chainOf(expression);
  if (chain) {
    // the context as one value is everything in it
    if (chain.variable === 'context' && chain.path.length === 0) throw new NotFollowed();
    reads.push(chain);
    return;
  }
  const [operator, operand] = isNode(expression) ? (Object.entries(expression)[0] ?? []) : [];
  if (operator === 'Value') return;
  // a set, or the arguments of an extension function
  if (Array.isArray(operand)) for (const element of operand) collect(element, reads);
  else if (operator === undefined || !isNode(operand)) throw new NotFollowed();
  else if (operator === 'Record') for (const element of Object.values(operand)) collect(element, reads);
  else if (operator === 'has') reads.push(lookInto(operand.left, [operand.attr].flat() as string[]));
  else if (operator === 'in' || (operator === 'is' && 'in' in operand)) {
    reads.push(lookInto(operand.left, ['*']));
    collect(operator === 'in' ? operand.right : operand.in, reads);
  } else if (plainOperators.has(operator)) {
    for (const name of operandNames) if (name in operand) collect(operand[name], reads);
  } else throw new NotFollowed(); // attributes of what a condition computes, tags, and what a later Cedar brings
};

/**
 * All places where the conditions of a policy look; undefined where they cannot be followed, so that it may look anywhere.
 * Its scope is not among them: that looks at the principal, the action and the resource with their ancestors alone.
 * @see https://docs.cedarpolicy.com/policies/json-format.html
 */
export const readsOf = ({ conditions }: PolicyJson): readonly Read[] | undefined => {
  const reads: Read[] = [];
  try {
    for (const { body } of conditions) collect(body, reads);
    return reads;
  } catch (error) {
    if (error instanceof NotFollowed) return undefined;
    throw error;
  }
};
