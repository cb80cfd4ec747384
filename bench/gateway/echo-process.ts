import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerParent } from './answer-parent.ts';
import { echoTools, manyTools } from './echo-tools.ts';

/**
 * The MCP server behind everything that is measured: plain `node:http`, stateless, both eras, answers made ready beforehand. It is the
 * reference: what a gateway costs is told as a multiple of what this server costs.
 */
type Message = { id?: number | string; method: string; params?: { name?: string; protocolVersion?: string } };

const modernVersion = '2026-07-28';
const serverInfo = { name: 'bench-echo', version: '1' };
const capabilities = { tools: {} };

/** What follows the id in the answer to a call, by tool; all of it ASCII, so that a character is a byte. */
const callEnds = new Map(
  echoTools.map(({ definition, text, encoding }) => {
    const result = JSON.stringify({ resultType: 'complete', content: [{ type: 'text', text }] });
    return [definition.name, { end: `,"result":${result}}`, encoding }] as const;
  }),
);

const answerCall = (response: ServerResponse, id: number | string, name: string): void => {
  const call = callEnds.get(name);
  if (!call) {
    answer(response, 200, { id, error: { code: -32602, message: `Unknown tool: ${name}` } });
    return;
  }
  const start = `{"jsonrpc":"2.0","id":${JSON.stringify(id)}`;
  if (call.encoding === 'sse') {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(`event: message\ndata: ${start}${call.end}\n\n`, 'latin1');
    response.end();
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': start.length + call.end.length });
  response.end(start + call.end, 'latin1');
};

const answer = (response: ServerResponse, status: number, rest: object): void => {
  const body = JSON.stringify({ jsonrpc: '2.0', ...rest });
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body);
};

const serve = (tools: readonly object[], { id, method, params }: Message, isModern: boolean, response: ServerResponse): void => {
  const modern = isModern ? { resultType: 'complete', ttlMs: 60_000, cacheScope: 'public' } : {};
  const { name = '', protocolVersion } = params ?? {};
  if (id === undefined) response.writeHead(202).end();
  else if (method === 'tools/call') answerCall(response, id, name);
  else if (method === 'tools/list') answer(response, 200, { id, result: { ...modern, tools } });
  else if (method === 'server/discover')
    answer(response, 200, { id, result: { ...modern, supportedVersions: [modernVersion], capabilities, serverInfo } });
  else if (method === 'initialize') answer(response, 200, { id, result: { protocolVersion, capabilities, serverInfo } });
  else if (method === 'ping') answer(response, 200, { id, result: {} });
  else answer(response, isModern ? 404 : 200, { id, error: { code: -32601, message: 'Method not found' } });
};

const handle = (tools: readonly object[], request: IncomingMessage, response: ServerResponse): void => {
  if (request.method !== 'POST') {
    response.writeHead(405).end();
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => void chunks.push(chunk));
  request.on('end', () => {
    const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    serve(tools, JSON.parse(body.toString()) as Message, request.headers['mcp-protocol-version'] === modernVersion, response);
  });
};

const listen = async (tools: readonly object[]): Promise<number> => {
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => handle(tools, request, response)).listen(
    0,
    '127.0.0.1',
    4096,
  );
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

answerParent({
  /** Opens `echoes` servers with the tools to call, and one with many tools to list. */
  start: async ({ echoes, many }: { echoes: number; many: number }) => ({
    echoPorts: await Promise.all(Array.from({ length: echoes }, () => listen(echoTools.map(({ definition }) => definition)))),
    manyPort: await listen(manyTools(many)),
  }),
});
