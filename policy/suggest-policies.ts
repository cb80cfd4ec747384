import type { EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { ArgumentFacts } from './argument-facts.ts';
import { shapeOf, tokensCondition } from './argument-shape.ts';
import type { KnownRequest } from './known.ts';
import { uidKey } from './policy-scope.ts';
import { entityText, textLiteral } from './policy-text.ts';

/** A call that was allowed. */
export type NeededCall = {
  asked: KnownRequest;
  at: string;
  /** The permits that let it through because people approved it, where nothing else did; they stay, and it needs no other. */
  approvedBy?: readonly string[];
};
/** What was needed of one thing, as permits, with the conditions that hold its use. */
export type SuggestedGrant = {
  /** `Tool`, `Prompt`, `Template`, `Resource` or `Model`. */
  type: string;
  id: string;
  calls: number;
  conditions: string[];
  notes: string[];
  cedar: string;
};

const listActions: Readonly<Record<string, string>> = {
  Tool: 'listTool',
  Prompt: 'listPrompt',
  Template: 'listResource',
  Resource: 'listResource',
  Model: 'listModel',
};
const useActions: Readonly<Record<string, string>> = {
  Tool: 'callTool',
  Prompt: 'getPrompt',
  Template: 'readResource',
  Resource: 'readResource',
  Model: 'invokeModel',
};

const typeOf = ({ type }: Pick<TypeAndId, 'type'>): string => type.slice(type.lastIndexOf('::') + 2);

const entityOf = ({ resource }: KnownRequest): EntityJson | undefined =>
  resource.entities.find(({ uid }) => uidKey(uid) === uidKey(resource.uid));

const parentsOf = (asked: KnownRequest, type: string): TypeAndId[] =>
  (entityOf(asked)?.parents ?? [])
    .map((parent) => ('__entity' in parent ? parent.__entity : parent))
    .filter((parent) => typeOf(parent) === type);

/** What a call needs a grant of: of a resource that is read through a template, that template. */
const grantedThing = (asked: KnownRequest): TypeAndId => parentsOf(asked, 'Template')[0] ?? asked.resource.uid;

const unique = (uids: readonly TypeAndId[]): TypeAndId[] => [...new Map(uids.map((uid) => [uidKey(uid), uid])).values()];

const withinCondition = (toolsets: readonly TypeAndId[]): string[] => {
  const [first] = toolsets;
  if (!first) return [];
  return [`resource in ${toolsets.length === 1 ? entityText(first) : `[${toolsets.map(entityText).join(', ')}]`}`];
};

const assignedPathsOf = ({ principal }: KnownRequest): string[] => {
  const paths = principal.entities.find(({ uid }) => uidKey(uid) === uidKey(principal.uid))?.attrs.assignedPaths;
  return Array.isArray(paths) ? paths.filter((path) => typeof path === 'string') : [];
};

const permit = (id: string, role: TypeAndId, action: string, thing: TypeAndId, conditions: readonly string[]): string =>
  `@id(${textLiteral(id)})
permit (
  principal is Quarterdeck::Agent in ${entityText(role)},
  action == Quarterdeck::Action::"${action}",
  resource ${typeOf(thing) === 'Template' ? 'in' : '=='} ${entityText(thing)}
)${conditions.length > 0 ? ` when {\n  ${conditions.join(' &&\n  ')}\n}` : ''};`;

const shapeOfUse = (type: string, uses: readonly NeededCall[]): { conditions: string[]; notes: string[] } => {
  if (type === 'Model') return { conditions: [tokensCondition(uses.map(({ asked }) => Number(asked.context.maxTokens ?? 0)))], notes: [] };
  return shapeOf(
    uses.map(({ asked }) => ({ facts: asked.context.arguments as unknown as ArgumentFacts, assignedPaths: assignedPathsOf(asked) })),
  );
};

const grantOf = (role: TypeAndId, thing: TypeAndId, calls: readonly NeededCall[]): SuggestedGrant => {
  const type = typeOf(thing);
  const [list, use] = [listActions[type] ?? '', useActions[type] ?? ''];
  const own = calls.filter(({ approvedBy = [] }) => approvedBy.length === 0);
  const approvedBy = [...new Set(calls.flatMap((call) => call.approvedBy ?? []))];
  const isUsed = own.some(({ asked }) => asked.action === use);
  const uses = own.filter(({ asked }) => asked.action === use && !asked.forAnyArguments);
  const within = withinCondition(unique(calls.flatMap(({ asked }) => parentsOf(asked, 'Toolset'))));
  const shape = uses.length > 0 ? shapeOfUse(type, uses) : { conditions: [], notes: [] };
  const conditions = [...within, ...shape.conditions];
  const last = calls.at(-1)?.at.slice(0, 10) ?? '';
  const name = thing.id.split('/').slice(2).join('/');
  return {
    type,
    id: thing.id,
    calls: calls.length,
    conditions: shape.conditions,
    notes: [
      ...shape.notes,
      ...(approvedBy.length > 0 ? [`calls that people approved stay permitted by ${approvedBy.join(', ')}, and need nothing more`] : []),
    ],
    cedar: [
      `// needed by ${calls.length === 1 ? '1 call' : `${calls.length} calls`}, the last on ${last}`,
      permit(`${list} ${name}`, role, list, thing, within),
      ...(isUsed ? [permit(`${use} ${name}`, role, use, thing, conditions)] : []),
    ].join('\n'),
  };
};

/**
 * The least privilege that calls of an agent role needed: a permit for each thing that was used, behind the toolsets that it was used
 * through, held to the shape that its arguments had.
 * @param calls - allowed ones, oldest first
 */
export const suggestGrants = (role: TypeAndId, calls: readonly NeededCall[]): SuggestedGrant[] => {
  const known = calls.filter(({ asked }) => typeOf(asked.resource.uid) in listActions);
  const things = new Map(known.map(({ asked }) => [uidKey(grantedThing(asked)), grantedThing(asked)]));
  const byThing = Map.groupBy(known, ({ asked }) => uidKey(grantedThing(asked)));
  return [...things].map(([key, thing]) => grantOf(role, thing, byThing.get(key) ?? [])).sort((one, other) => (one.id < other.id ? -1 : 1));
};
