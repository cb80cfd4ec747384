/** The two tools that a toolset which exposes `search` lists in place of its servers' own. */
export const searchToolNames = { find: 'find_tool', call: 'call_tool' } as const;
export type SearchToolKind = keyof typeof searchToolNames;

const taken: readonly string[] = Object.values(searchToolNames);

/** Whether a tool of a server cannot have this name in a toolset that exposes `search`. */
export const isSearchToolName = (name: string): boolean => taken.includes(name);
