import { celEnv, isCelError, parse, plan } from '@bufbuild/cel';
import { matchCost } from './match-cost.ts';

/** What a rule's `match` looks at: the drift, `{ name, type }` of the target, and the seen state of the drift's object. */
export type MatchFacts = Record<string, unknown>;
/** Where a `match` is wrong; positions count from 1. */
export type MatchFault = { message: string; line?: number; column?: number };
export type Matched = { ok: true; value: boolean } | { ok: false; message: string };
export type CompiledMatch = { ok: true; evaluate: (facts: MatchFacts) => Matched } | ({ ok: false } & MatchFault);

const known: ReadonlySet<string> = new Set(['drift', 'target', 'object']);
/** Written by the parser itself for what is no function: choices, indexes, and the frame of macros. */
const operators = /^(_[?]_:_|_&&_|_\|\|_|_\[_\]|_\[\?_\]|_\?\._|@not_strictly_false|__not_strictly_false__)$/;
/** Lists within lists are gone through this deep; deeper ones cost more than any rule is worth. */
const mostLoops = 2;

/** By `matchCost`, a fifth of a second or so; and characters of text: a worker has other things to do meanwhile. */
const mostCost = 2_000_000;
const mostCharacters = 4 * 1024 * 1024;

const environment = celEnv();

type Node = { exprKind?: { case?: string; value?: Record<string, unknown> } } & Record<string, unknown>;
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null;

/** The first thing in a parsed expression that would be wrong whenever it is evaluated, or cost too much. */
const findFault = (node: unknown, bound: ReadonlySet<string>, loops: number): string | undefined => {
  if (Array.isArray(node)) {
    for (const item of node) {
      const found = findFault(item, bound, loops);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (!isNode(node)) return undefined;
  const { case: kind, value = {} } = node.exprKind ?? {};
  if (kind === 'identExpr' && !known.has(String(value.name)) && !bound.has(String(value.name)))
    return `\`${String(value.name)}\` is nothing here; there are \`drift\`, \`target\` and \`object\``;
  if (kind === 'callExpr' && !operators.test(String(value.function)) && environment.funcs.find(String(value.function)) === undefined)
    return `there is no function \`${String(value.function)}\``;
  if (kind === 'comprehensionExpr') {
    if (loops >= mostLoops) return `lists are gone through within lists more than ${mostLoops} deep`;
    const inner = new Set([...bound, value.accuVar, value.iterVar, value.iterVar2].map(String));
    return (
      findFault([value.iterRange, value.accuInit], bound, loops) ??
      findFault([value.loopCondition, value.loopStep, value.result], inner, loops + 1)
    );
  }
  return findFault(Object.values(kind === undefined ? node : value), bound, loops);
};

/** All of the text of what a rule looks at. */
const charactersOf = (value: unknown): number => {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  const names = Array.isArray(value) ? [] : Object.keys(value);
  return [...names, ...Object.values(value)].reduce<number>((all, inner) => all + charactersOf(inner), 0);
};

/** Why evaluating would take too long: told before, because nothing interrupts it. */
const isTooMuch = (expression: unknown, facts: MatchFacts): string | undefined => {
  if (charactersOf(facts) > mostCharacters) return `what it looks at is larger than ${mostCharacters} characters`;
  return matchCost(expression, facts) > mostCost
    ? 'evaluating it over what is seen would take too long: go through shorter lists, and make no lists of lists'
    : undefined;
};

const whereOf = (error: unknown): Pick<MatchFault, 'line' | 'column'> => {
  const start = (error as { location?: { start?: { line?: number; column?: number } } }).location?.start;
  return start?.line === undefined || start.column === undefined ? {} : { line: start.line, column: start.column };
};

const messageOf = (error: unknown): string =>
  error instanceof RangeError ? 'it nests too deeply' : ((error as Error).message ?? String(error)).slice(0, 300);

/**
 * Compiles a `match` in CEL (github.com/google/cel-spec). Patterns are RE2's, so that no text of the observed system takes long to be held
 * against one. What comes out never throws: an error is said, and counts as no match.
 */
export const compileMatch = (text: string): CompiledMatch => {
  try {
    const parsed = parse(text);
    const fault = findFault(parsed.expr, new Set(), 0);
    if (fault !== undefined) return { ok: false, message: fault };
    const run = plan(environment, parsed) as (facts: MatchFacts) => unknown;
    return {
      ok: true,
      evaluate: (facts) => {
        try {
          const tooMuch = isTooMuch(parsed.expr, facts);
          if (tooMuch !== undefined) return { ok: false, message: tooMuch };
          const value = run(facts);
          if (isCelError(value)) return { ok: false, message: value.message.slice(0, 300) };
          return typeof value === 'boolean' ? { ok: true, value } : { ok: false, message: 'it says neither true nor false' };
        } catch (error) {
          return { ok: false, message: messageOf(error) };
        }
      },
    };
  } catch (error) {
    return { ok: false, message: messageOf(error), ...whereOf(error) };
  }
};
