/** One expression of Rego that may be undefined where it should refuse; `line` counts from 1 in the module. */
export type FailingCall = { module: string; line?: number; function: string };

type Node = { [key: string]: unknown };
type Rule = { module: string; node: Node };

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Functions that have no answer for some values of the right type, such as texts that are no number, and which of their operands that
 * depends on. Where the operand is written in the policy, whoever wrote it knows; of what comes from outside nobody does.
 */
const mayFail: Readonly<Record<string, readonly number[]>> = {
  to_number: [0],
  'json.unmarshal': [0],
  'base64.decode': [0],
  'base64url.decode': [0],
  'net.cidr_contains': [0, 1],
  'net.cidr_intersects': [0, 1],
  'net.cidr_overlap': [0, 1],
  'regex.match': [0],
  re_match: [0],
  'regex.find_all_string_submatch_n': [0],
  'glob.match': [0],
  div: [1],
  rem: [1],
  substring: [1],
  'bits.lsh': [1],
  'bits.rsh': [1],
};

const constants = new Set(['string', 'number', 'boolean', 'null']);
const isConstant = (term: unknown): boolean => isNode(term) && constants.has(String(term.type)) && term.value !== 0;

const partsOf = (ref: unknown): string[] => {
  const parts = isNode(ref) && ref.type === 'ref' && Array.isArray(ref.value) ? (ref.value as Node[]) : [];
  return parts.flatMap(({ value }) => (typeof value === 'string' ? [value] : []));
};
const nameOf = ({ head }: Node): string => {
  const { name, ref } = head as { name?: string; ref?: Node[] };
  return name ?? String(ref?.[0]?.value ?? '');
};
const lineOf = (node: Node): number | undefined => (isNode(node.location) ? (node.location.row as number | undefined) : undefined);

/**
 * Finds calls that may fail inside `deny`, or inside what it refers to. In Rego a call that fails is undefined, and WebAssembly does not
 * say which it was, so a rule that was to refuse says nothing. Undefined refuses in `allow`, and as a whole behind `not`; of the operands of
 * what is behind `not` calls are made before it.
 * @param modules - syntax trees as `opa parse --format json` writes them
 */
export const findFailingCalls = (modules: readonly { name: string; tree: unknown }[]): FailingCall[] => {
  const rules = new Map<string, Rule[]>();
  for (const { name, tree } of modules)
    for (const node of ((tree as { rules?: Node[] }).rules ?? []) as Node[])
      rules.set(nameOf(node), [...(rules.get(nameOf(node)) ?? []), { module: name, node }]);

  const found: FailingCall[] = [];
  const visited = new Set<string>();

  /** @param refuses - whether undefined makes `deny` refuse, which is as it should be */
  const visitRules = (name: string, refuses: boolean): void => {
    const key = `${name} ${refuses}`;
    if (visited.has(key)) return;
    visited.add(key);
    for (const { module, node } of rules.get(name) ?? []) walk(node, { module, line: lineOf(node), refuses, outside: refuses });
  };

  /** `outside`: the same before the expression that it is in, where the compiler puts calls that are operands of others, out of a `not`. */
  type Place = { module: string; line: number | undefined; refuses: boolean; outside: boolean };
  const judge = ([callee, ...operands]: unknown[], { module, line, refuses }: Place): void => {
    const name = partsOf(callee).join('.');
    const decisive = Object.hasOwn(mayFail, name) ? (mayFail[name] ?? []) : [];
    if (refuses || decisive.every((index) => operands[index] === undefined || isConstant(operands[index]))) return;
    found.push({ module, function: name, ...(line === undefined ? {} : { line }) });
  };

  const walk = (value: unknown, place: Place): void => {
    if (Array.isArray(value)) for (const each of value) walk(each, place);
    if (!isNode(value)) return;
    const { type, terms, negated } = value;
    const here: Place = { ...place, line: lineOf(value) ?? place.line };
    if (terms !== undefined) Object.assign(here, { refuses: negated === true ? !place.refuses : place.refuses, outside: place.refuses });
    if (type === 'call') here.refuses = here.outside;
    if (type === 'var') visitRules(String(value.value), here.refuses);
    if (type === 'ref') {
      const [root, ...path] = partsOf(value);
      if (root === 'data') for (const part of path) visitRules(part, here.refuses);
    }
    if (type === 'call' && Array.isArray(value.value)) judge(value.value, here);
    if (Array.isArray(terms) && terms.length > 1) judge(terms, here);
    // what fails in there is left out of a list, whatever is then made of it
    const inside = typeof type === 'string' && type.endsWith('comprehension') ? { ...here, refuses: false } : here;
    for (const [key, each] of Object.entries(value)) if (key !== 'location') walk(each, inside);
  };

  visitRules('deny', false);
  return found;
};
