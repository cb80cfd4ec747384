/** Requests as whole HTTP texts: the load generator writes them as they stand. */
const modernVersion = '2026-07-28';

/** What each modern request says of its client. */
export const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': modernVersion,
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

const accept = 'application/json, text/event-stream';

export const modernHeaders = (method: string, token?: string): Record<string, string> => ({
  'content-type': 'application/json',
  accept,
  'mcp-protocol-version': modernVersion,
  'mcp-method': method,
  ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
});

export const legacyHeaders = (token: string): Record<string, string> => ({
  'content-type': 'application/json',
  accept,
  authorization: `Bearer ${token}`,
});

const post = (port: number, path: string, headers: Record<string, string>, message: object): string => {
  const body = JSON.stringify({ jsonrpc: '2.0', ...message });
  const lines = Object.entries({ host: `127.0.0.1:${port}`, ...headers, 'content-length': String(Buffer.byteLength(body)) });
  return `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
};

/** How many different requests there are for one tool. */
const variants = 64;

/** Calls of tools in turn, each with an id and arguments of its own. */
export const callRequests = (port: number, path: string, tools: readonly string[], token?: string): string[] =>
  Array.from({ length: variants * tools.length }, (_, index) => {
    const name = tools[index % tools.length] as string;
    const params = { name, arguments: { message: `message ${String(index).padStart(4, '0')}`, count: 7 }, _meta: modernMeta };
    return post(
      port,
      path,
      { ...modernHeaders('tools/call', token), 'mcp-name': name },
      { id: 1000 + index, method: 'tools/call', params },
    );
  });

/** Requests for a stream of what changes in the lists. */
export const listenRequests = (port: number, path: string, token: string): string[] =>
  Array.from({ length: variants }, (_, index) =>
    post(port, path, modernHeaders('subscriptions/listen', token), {
      id: `listen-${index}`,
      method: 'subscriptions/listen',
      params: { notifications: { toolsListChanged: true }, _meta: modernMeta },
    }),
  );
