/** The cost of evaluating an expression, about one for each character and member that it looks at, and what comes out. */
type Cost = { cost: number; shape: Shape };
/** How large a value is: all of it, how many members it has, and the largest of them; `value` where it is known. */
type Shape = { size: number; items: number; item: number; value?: unknown };

type Node = { exprKind?: { case?: string; value?: unknown } };
type Constant = { constantKind: { case?: string; value?: unknown } };
type Call = { function: string; target?: Node; args: Node[] };
type Loop = {
  accuVar: string;
  accuInit: Node;
  iterVar: string;
  iterVar2: string;
  iterRange: Node;
  loopCondition: Node;
  loopStep: Node;
  result: Node;
};

/** So that what is multiplied again and again stays a number. */
const endless = 1e15;
const atMost = (count: number): number => Math.min(count, endless);
const scalar: Shape = { size: 1, items: 0, item: 0 };
/** Something within something of that size, of which nothing more is known. */
const within = (size: number): Shape => ({ size, items: size, item: size });
const sum = (numbers: readonly number[]): number => atMost(numbers.reduce((one, other) => one + other, 0));
const most = (numbers: readonly number[]): number => numbers.reduce((one, other) => Math.max(one, other), 0);

const comparing = /^_(==|!=|<|<=|>|>=)_$/;
const judging = /^(!_|_&&_|_\|\|_|@in|size|contains|startsWith|endsWith|matches|@?_{0,2}not_strictly_false_{0,2}|get[A-Z]\w*)$/;
/** In a pattern a counted repetition is as long as what it repeats, so often. */
const repeated = /\{(\d+)/g;

const patternWeight = ({ size, value }: Shape): number =>
  typeof value === 'string'
    ? atMost(size * [...value.matchAll(repeated)].reduce((weight, [, times]) => atMost(weight * Math.max(1, Number(times))), 1))
    : size * 1000;

/**
 * Says before an expression is evaluated what that costs at most, because nothing interrupts it: also what is made of what was made, as in
 * `x.map(a, [a, a]).map(a, [a, a])`, which doubles with each turn.
 * @param expression - as the parser of CEL gives it
 * @param facts - what it looks at, as JSON
 */
export const matchCost = (expression: unknown, facts: Readonly<Record<string, unknown>>): number => {
  const sizes = new WeakMap<object, number>();
  const sizeOf = (value: unknown): number => {
    if (typeof value === 'string') return 1 + value.length;
    if (typeof value !== 'object' || value === null) return 1;
    const known = sizes.get(value);
    if (known !== undefined) return known;
    const size = 1 + sum(Object.entries(value).map(([name, inner]) => (Array.isArray(value) ? 0 : name.length) + sizeOf(inner)));
    sizes.set(value, size);
    return size;
  };
  const shapeOf = (value: unknown): Shape => {
    if (typeof value !== 'object' || value === null) return { size: sizeOf(value), items: 0, item: 0, value };
    const members = Object.entries(value).map(([name, inner]) => Math.max(Array.isArray(value) ? 0 : name.length, sizeOf(inner)));
    return { size: sizeOf(value), items: members.length, item: most(members), value };
  };
  const memberOf = ({ value, item }: Shape, name: string): Shape =>
    typeof value === 'object' && value !== null && Object.hasOwn(value, name)
      ? shapeOf((value as Record<string, unknown>)[name])
      : within(item);

  const call = ({ function: name, target, args }: Call, bound: ReadonlyMap<string, Shape>): Cost => {
    const given = [...(target ? [target] : []), ...args].map((argument) => costOf(argument, bound));
    const shapes = given.map(({ shape }) => shape);
    const [first = scalar, second = scalar, third = scalar] = shapes;
    const own = sum(shapes.map(({ size }) => size));
    const of = (cost: number, shape: Shape): Cost => ({ cost: sum([1, cost, ...given.map((one) => one.cost)]), shape });
    if (name === '_?_:_') {
      const larger = (key: 'size' | 'items' | 'item') => Math.max(second[key], third[key]);
      return of(0, { size: larger('size'), items: larger('items'), item: larger('item') });
    }
    if (name === '_[_]') return of(0, within(first.item));
    if (name === '_+_') return of(0, { size: own, items: first.items + second.items, item: Math.max(first.item, second.item) });
    if (comparing.test(name)) return of(Math.min(first.size, second.size), scalar);
    if (name === 'matches') return of(atMost(first.size * patternWeight(second)), scalar);
    return of(own, judging.test(name) ? scalar : within(own));
  };

  const loop = (node: Loop, bound: ReadonlyMap<string, Shape>): Cost => {
    const [range, begin] = [costOf(node.iterRange, bound), costOf(node.accuInit, bound)];
    const turns = range.shape.items;
    const item = within(range.shape.item);
    const inner = new Map([...bound, [node.iterVar, item], [node.iterVar2, item], [node.accuVar, scalar]]);
    const [condition, step] = [costOf(node.loopCondition, inner), costOf(node.loopStep, inner)];
    const gathers = node.accuInit.exprKind?.case === 'listExpr';
    const made = gathers
      ? { size: atMost(turns * step.shape.size), items: atMost(turns * Math.max(1, step.shape.items)), item: step.shape.item }
      : scalar;
    const result = costOf(node.result, new Map([...bound, [node.accuVar, made]]));
    // what is gathered lies in lists within lists, and each item is handed up through all of them
    const handing = gathers ? atMost(turns * turns) : 0;
    const turning = atMost(turns * sum([1, condition.cost, step.cost]));
    return { cost: sum([range.cost, begin.cost, turning, handing, result.cost]), shape: result.shape };
  };

  const gather = (nodes: readonly (Node | undefined)[], bound: ReadonlyMap<string, Shape>): Cost => {
    const found = nodes.flatMap((node) => (node ? [costOf(node, bound)] : []));
    const members = found.map(({ shape }) => shape.size);
    const shape = { size: sum([1, ...members]), items: members.length, item: most(members) };
    return { cost: sum([1, ...found.map(({ cost }) => cost)]), shape };
  };

  const costOf = ({ exprKind }: Node, bound: ReadonlyMap<string, Shape>): Cost => {
    const value = exprKind?.value;
    switch (exprKind?.case) {
      case 'identExpr': {
        const { name } = value as { name: string };
        return { cost: 1, shape: bound.get(name) ?? shapeOf(facts[name]) };
      }
      case 'constExpr': {
        const { value: constant } = (value as Constant).constantKind;
        return { cost: 1, shape: typeof constant === 'string' ? shapeOf(constant) : scalar };
      }
      case 'selectExpr': {
        const { operand, field } = value as { operand: Node; field: string };
        const from = costOf(operand, bound);
        return { cost: from.cost + 1, shape: memberOf(from.shape, field) };
      }
      case 'callExpr':
        return call(value as Call, bound);
      case 'listExpr':
        return gather((value as { elements: Node[] }).elements, bound);
      case 'structExpr':
        return gather(
          (value as { entries: { keyKind: { value?: Node | string }; value?: Node }[] }).entries.flatMap(({ keyKind, value: inner }) => [
            typeof keyKind.value === 'object' ? keyKind.value : undefined,
            inner,
          ]),
          bound,
        );
      case 'comprehensionExpr':
        return loop(value as Loop, bound);
      default:
        return { cost: 1, shape: scalar };
    }
  };
  return costOf(expression as Node, new Map()).cost;
};
