import type { Tenancy } from '../../schema/ids.ts';
import { type SearchToolKind, searchToolNames } from '../../schema/search-tools.ts';
import type { JsonObject } from '../mcp/message.ts';
import type { Exposed, Source } from './exposed.ts';

/** One of the two tools of a toolset that exposes `search`; no server has it, and nothing is decided about it. */
export type SearchTool = {
  kind: SearchToolKind;
  tenancy: Tenancy;
  toolset: string;
  /** What callers of the endpoint call it. */
  name: string;
  /** As callers see it. */
  shown: JsonObject;
};
export type SearchTools = ReadonlyMap<string, SearchTool>;

export const noSearchTools: SearchTools = new Map();

/** Tools that one answer has at most, and where nothing is said. */
export const mostFound = 50;
export const usuallyFound = 8;
export const longestQuery = 1000;

const findTool = (toolset: string, find: string, call: string): JsonObject => ({
  name: find,
  title: 'Find a tool',
  description:
    `Finds tools of ${toolset} by what they are for; they are not listed. Describe in a few words what you want to do: the best fitting ` +
    `ones come back, best first, each with its name, description and input schema. Call one with ${call}.`,
  inputSchema: {
    type: 'object',
    properties: {
      query: {
        type: 'string',
        minLength: 1,
        maxLength: longestQuery,
        description: 'What the tool should do, in words that its name, description or parameters may have.',
      },
      limit: {
        type: 'integer',
        minimum: 1,
        maximum: mostFound,
        default: usuallyFound,
        description: 'How many tools to return at most.',
      },
    },
    required: ['query'],
    additionalProperties: false,
  },
  outputSchema: {
    type: 'object',
    properties: { tools: { type: 'array', items: { type: 'object' }, description: 'Definitions of tools, best first.' } },
    required: ['tools'],
  },
  annotations: { readOnlyHint: true, openWorldHint: false },
});

const callTool = (toolset: string, find: string, call: string): JsonObject => ({
  name: call,
  title: 'Call a tool',
  description: `Calls a tool of ${toolset} that ${find} has returned. It is judged, recorded and answered as a call of that tool itself.`,
  inputSchema: {
    type: 'object',
    properties: {
      name: { type: 'string', minLength: 1, description: `The name of the tool, as ${find} returned it.` },
      arguments: { type: 'object', description: 'The arguments of the tool, as its input schema says.' },
    },
    required: ['name'],
    additionalProperties: false,
  },
});

/**
 * The two tools of a toolset.
 * @param prefix - what the endpoint puts before each name of the toolset
 */
export const searchToolsOf = (tenancy: Tenancy, toolset: string, prefix = ''): SearchTools => {
  const find = `${prefix}${searchToolNames.find}`;
  const call = `${prefix}${searchToolNames.call}`;
  return new Map<string, SearchTool>([
    [find, { kind: 'find', tenancy, toolset, name: find, shown: findTool(toolset, find, call) }],
    [call, { kind: 'call', tenancy, toolset, name: call, shown: callTool(toolset, find, call) }],
  ]);
};

/** Whether an item stands behind this tool. */
export const isBehind =
  ({ tenancy, toolset }: Pick<SearchTool, 'tenancy' | 'toolset'>) =>
  (item: Source): boolean =>
    item.expose === 'search' && item.toolset === toolset && item.tenancy.project === tenancy.project && item.tenancy.org === tenancy.org;

/** Those of the tools behind which a caller sees something: to others they are as unknown as all else of the toolset. */
export const usableSearchTools = (tools: SearchTools, seen: readonly Exposed[]): SearchTools => {
  if (tools.size === 0) return noSearchTools;
  return new Map([...tools].filter(([, tool]) => seen.some(isBehind(tool))));
};
