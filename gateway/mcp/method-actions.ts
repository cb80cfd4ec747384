/** Methods of MCP whose use is put on record, and what the audit calls each. */
export const methodActions: Readonly<Record<string, string>> = {
  'tools/list': 'listTools',
  'tools/call': 'callTool',
  'prompts/list': 'listPrompts',
  'prompts/get': 'getPrompt',
  'resources/list': 'listResources',
  'resources/templates/list': 'listResourceTemplates',
  'resources/read': 'readResource',
  'completion/complete': 'complete',
};
