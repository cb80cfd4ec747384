// A stdio server of the SDK's v1 line that asks its client things: an independent reading of the legacy revisions.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';

const server = new McpServer(
  { name: 'asking', version: '1.0.0' },
  { capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {} } },
);
const text = (value: unknown) => ({
  content: [{ type: 'text' as const, text: typeof value === 'string' ? value : JSON.stringify(value) }],
});

server.registerTool('about', {}, () =>
  text({ pid: process.pid, client: server.server.getClientVersion(), capabilities: server.server.getClientCapabilities() }),
);
server.registerTool('elicit', {}, async () =>
  text(
    await server.server.elicitInput({
      message: 'Which colour?',
      requestedSchema: { type: 'object', properties: { colour: { type: 'string' } }, required: ['colour'] },
    }),
  ),
);
server.registerTool('sample', {}, async () =>
  text(await server.server.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: 'Hello?' } }], maxTokens: 10 })),
);
server.registerTool('roots', {}, async () => text(await server.server.listRoots()));
server.registerTool('log', {}, async () => {
  await server.sendLoggingMessage({ level: 'info', data: 'from a call' });
  return text('logged');
});
/** Asks when nobody waits for an answer of it. */
server.registerTool('ask-later', {}, () => {
  setTimeout(() => {
    server.server.listRoots().then(
      ({ roots }) => server.sendLoggingMessage({ level: 'info', data: roots }),
      (error: Error) => server.sendLoggingMessage({ level: 'error', data: error.message }),
    );
  }, 10);
  return text('later');
});
server.registerTool('grow', {}, () => {
  server.registerTool(`grown-${Date.now()}`, {}, () => text('grown'));
  return text('grown');
});

await server.connect(new StdioServerTransport());
