import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, stream } from 'undici';
import { answerParent } from './answer-parent.ts';

/**
 * The least that a proxy in Node does: `node:http` in front, `undici.stream` behind, bodies passed on as they come. It knows no MCP, no
 * callers and no rules. `/0` goes to the first server, `/1` to the second.
 */
const passedOn = ['content-type', 'content-length', 'accept', 'mcp-protocol-version', 'mcp-method', 'mcp-name'];
const passedBack = ['content-type', 'content-length', 'cache-control'];

const pick = (headers: Readonly<Record<string, string | string[] | undefined>>, names: readonly string[]): Record<string, string> => {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = headers[name];
    if (typeof value === 'string') picked[name] = value;
  }
  return picked;
};

answerParent({
  start: async ({ ports }: { ports: number[] }) => {
    const dispatcher = new Agent({ connections: 512 });
    const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      const port = ports[Number(request.url?.slice(1))];
      stream(
        `http://127.0.0.1:${port}/mcp`,
        { dispatcher, method: 'POST', headers: pick(request.headers, passedOn), body: request },
        ({ statusCode, headers }) => response.writeHead(statusCode, pick(headers, passedBack)),
      ).catch(() => response.destroy());
    }).listen(0, '127.0.0.1', 4096);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  },
});
