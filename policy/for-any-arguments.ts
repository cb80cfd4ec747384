import type { Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';

type Node = Readonly<Record<string, unknown>>;

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Attributes that a list cannot know: the arguments of a call, whether people approved it, what the caller carries and how they have logged in then, the proved tier of a server that may not run
 * yet, and whether the project is frozen, which refuses for the moment and takes nothing off a list.
 */
const openAttributes: readonly unknown[] = ['arguments', 'approvedCall', 'approvers', 'flow', 'login', 'isolation', 'frozen'];

/** Whether an expression looks at any of these. */
const isOpen = (expression: unknown): boolean => {
  if (Array.isArray(expression)) return expression.some(isOpen);
  if (!isNode(expression)) return false;
  const access = expression['.'];
  if (isNode(access) && openAttributes.includes(access.attr)) return true;
  if (expression.Var === 'context') return true; // the context as one value has the arguments in it
  // `context.who` is known, so the variable below it does not count
  if (isNode(access) && isNode(access.left) && access.left.Var === 'context') return false;
  return Object.entries(expression).some(([operator, operand]) => operator !== 'Value' && isOpen(operand));
};

const constant = (value: boolean): Expr => ({ Value: value });

/**
 * A condition without its open parts. `always`: true only where the condition is true whatever the open parts are;
 * `possible`: false only where it is false whatever they are.
 */
const closed = (expression: Expr, bound: 'always' | 'possible'): Expr => {
  if (!isOpen(expression)) return expression;
  const opposite = bound === 'always' ? 'possible' : 'always';
  if ('&&' in expression) {
    const { left, right } = expression['&&'] as { left: Expr; right: Expr };
    return { '&&': { left: closed(left, bound), right: closed(right, bound) } };
  }
  if ('||' in expression) {
    const { left, right } = expression['||'] as { left: Expr; right: Expr };
    return { '||': { left: closed(left, bound), right: closed(right, bound) } };
  }
  if ('!' in expression) {
    const { arg } = expression['!'] as { arg: Expr };
    return { '!': { arg: closed(arg, opposite) } };
  }
  return constant(bound === 'possible');
};

/**
 * A policy as far as it decides before the arguments of a call are known: a forbid that is left refuses whatever the arguments are,
 * and a permit may permit. With such policies an item is denied only where no call of it could ever be allowed, so that lists and
 * calls agree.
 */
export const forAnyArguments = (policy: PolicyJson): PolicyJson => {
  const bound = policy.effect === 'forbid' ? 'always' : 'possible';
  const opposite = bound === 'always' ? 'possible' : 'always';
  return {
    ...policy,
    conditions: policy.conditions.map(({ kind, body }) => ({ kind, body: closed(body, kind === 'when' ? bound : opposite) })),
  };
};
