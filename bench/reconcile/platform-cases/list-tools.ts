import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const timeoutMs = 15_000;

export type ListedTools = { name: string; description: string }[];

/**
 * What an MCP client that nobody here wrote is offered: it connects anew, as one that comes to the gateway at this moment does.
 * @throws what the gateway or the client's library says
 */
export const listTools = async (url: string, token: string): Promise<ListedTools> => {
  const client = new Client({ name: 'bench', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${token}` } } });
  try {
    await client.connect(transport, { timeout: timeoutMs });
    const { tools } = await client.listTools({}, { timeout: timeoutMs });
    return tools.map(({ name, description = '' }) => ({ name, description }));
  } finally {
    await client.close().catch(() => undefined);
  }
};
