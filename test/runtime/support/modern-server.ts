// A stdio server of the SDK's v2 line: an independent reading of 2026-07-28. MODERN_ONLY=1 makes it refuse older clients.
import { acceptedContent, inputRequired, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const text = (value: unknown) => ({
  content: [{ type: 'text' as const, text: typeof value === 'string' ? value : JSON.stringify(value) }],
});

let released = (): void => {};
const held: string[] = [];
const cancelled: string[] = [];
/** As a slow machine would: nothing is read before. */
const startAfterMs = Number(process.env.START_AFTER_MS ?? 0);

const createServer = ({ era }: { era: string }): McpServer => {
  const server = new McpServer(
    { name: 'modern', version: '2.0.0' },
    { capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {} } },
  );
  server.registerTool('about', {}, ({ mcpReq: { envelope } }) => text({ pid: process.pid, era, envelope }));
  server.registerTool('echo', { inputSchema: z.object({ text: z.string() }) }, (args) => text(args.text));
  server.registerTool('colour', {}, (context) => {
    const answer = acceptedContent<{ colour: string }>(context.mcpReq.inputResponses, 'colour');
    if (answer !== undefined) return text(`${context.mcpReq.requestState()} ${answer.colour}`);
    const requestedSchema = { type: 'object' as const, properties: { colour: { type: 'string' as const } }, required: ['colour'] };
    return inputRequired({
      requestState: 'state-of-the-server',
      inputRequests: { colour: inputRequired.elicit({ message: 'Which colour?', requestedSchema }) },
    });
  });
  server.registerTool('progress', { inputSchema: z.object({ steps: z.number() }) }, async ({ steps }, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken !== undefined)
      for (let progress = 1; progress <= steps; progress += 1)
        await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress } });
    return text('done');
  });
  server.registerTool('log', { inputSchema: z.object({ data: z.string() }) }, async ({ data }, { mcpReq }) => {
    await mcpReq.log('info', data);
    return text('logged');
  });
  server.registerTool('hold', { inputSchema: z.object({ name: z.string() }) }, ({ name }, { mcpReq: { signal } }) => {
    held.push(name);
    signal.addEventListener('abort', () => cancelled.push(name));
    return new Promise((resolve) => {
      released = () => resolve(text('released'));
    });
  });
  server.registerTool('release', {}, () => {
    released();
    return text('released');
  });
  server.registerTool('seen', {}, () => text({ held, cancelled }));
  server.registerTool('grow', {}, () => {
    server.registerTool(`grown-${Date.now()}`, {}, () => text('grown'));
    return text('grown');
  });
  server.registerTool('touch', { inputSchema: z.object({ uri: z.string() }) }, async ({ uri }) => {
    await server.server.sendResourceUpdated({ uri });
    return text('touched');
  });
  return server;
};

await new Promise((resolve) => setTimeout(resolve, startAfterMs));
serveStdio(createServer, { legacy: process.env.MODERN_ONLY ? 'reject' : 'serve' });
