/** Methods of MCP whose use is put on record, and what the audit calls each. A map, because callers may name whatever every object has. */
export const methodActions: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'tools/list': 'listTools',
    'tools/call': 'callTool',
    'prompts/list': 'listPrompts',
    'prompts/get': 'getPrompt',
    'resources/list': 'listResources',
    'resources/templates/list': 'listResourceTemplates',
    'resources/read': 'readResource',
    'completion/complete': 'complete',
  }),
);
