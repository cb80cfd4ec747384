import { celEnv, isCelError, parse, plan } from '@bufbuild/cel';

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

/** Items that loops may pass through, all together, and characters of text: a worker has other things to do meanwhile. */
const mostTurns = 250_000;
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

/** How deep lists are gone through within lists. */
const depthOf = (node: unknown, loops = 0): number => {
  if (Array.isArray(node)) return Math.max(loops, ...node.map((item) => depthOf(item, loops)));
  if (!isNode(node)) return loops;
  const { case: kind, value = {} } = node.exprKind ?? {};
  if (kind !== 'comprehensionExpr') return depthOf(Object.values(kind === undefined ? node : value), loops);
  const inside = depthOf([value.loopCondition, value.loopStep, value.result], loops + 1);
  return Math.max(inside, depthOf([value.iterRange, value.accuInit], loops));
};

/** The longest list or map of what a rule looks at, and all of its text. */
const sizeOf = (value: unknown): { longest: number; characters: number } => {
  if (typeof value === 'string') return { longest: 0, characters: value.length };
  if (typeof value !== 'object' || value === null) return { longest: 0, characters: 0 };
  const [names, items] = Array.isArray(value) ? [[], value] : [Object.keys(value), Object.values(value)];
  let longest = items.length;
  let characters = names.reduce((sum, name) => sum + name.length, 0);
  for (const item of items) {
    const inner = sizeOf(item);
    longest = Math.max(longest, inner.longest);
    characters += inner.characters;
  }
  return { longest, characters };
};

/** Why evaluating would take too long: told before, because nothing interrupts it. */
const isTooMuch = (facts: MatchFacts, depth: number): string | undefined => {
  const { longest, characters } = sizeOf(facts);
  if (characters > mostCharacters) return `what it looks at is larger than ${mostCharacters} characters`;
  return longest ** depth > mostTurns
    ? `it goes through lists ${depth} deep, of up to ${longest} items: more than ${mostTurns} turns`
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
    const depth = depthOf(parsed.expr);
    return {
      ok: true,
      evaluate: (facts) => {
        const tooMuch = isTooMuch(facts, depth);
        if (tooMuch !== undefined) return { ok: false, message: tooMuch };
        try {
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
