import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

/** Run as a process of its own with a port: a bare MCP server of 2025-11-25 with 67 tools that echo, to be killed and started again. */
const tools = Array.from({ length: 67 }, (_, index) => ({
  name: `echo_${index}`,
  description: `Says again what it is told, number ${index}`,
  inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
  annotations: { readOnlyHint: true },
}));
type Request = { id?: number | string; method: string; params?: { protocolVersion?: string; arguments?: { text?: string } } };

const answer = ({ method, params }: Request): object | undefined => {
  if (method === 'initialize')
    return { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'soak', version: '1.0.0' } };
  if (method === 'tools/list') return { tools };
  if (method === 'tools/call') return { content: [{ type: 'text', text: params?.arguments?.text ?? '' }] };
  return method === 'ping' ? {} : undefined;
};

createServer(async (request, response) => {
  if (request.method !== 'POST') return void response.writeHead(405).end();
  const message = JSON.parse(await text(request)) as Request;
  if (message.id === undefined) return void response.writeHead(202).end();
  const result = answer(message);
  const body = result ? { result } : { error: { code: -32601, message: 'Method not found' } };
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...body }));
}).listen(Number(process.argv[2]), '127.0.0.1');
