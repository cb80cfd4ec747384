import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { listResources } from '../../../store/resources.ts';
import { pollUntil } from '../poll-until.ts';
import { adminToken, type RunningGateway } from '../running-gateway.ts';

type Json = Record<string, unknown>;
export type Task = {
  url: string;
  scenario: string;
  version: string;
  context: { toolCalls?: { name: string; arguments: Json }[] } & Record<string, unknown>;
};

const sample = (schema: Json): unknown =>
  schema.type === 'number' || schema.type === 'integer' ? 1 : schema.type === 'boolean' ? true : schema.type === 'object' ? {} : 'sample';
/** Arguments that a tool takes; one that wants a `schema` gets the schema of the first tool, as it came through. */
const sampleArguments = (schema: Json, first: Json): Json =>
  Object.fromEntries(
    Object.entries((schema.properties ?? {}) as Record<string, Json>).map(([name, inner]) => [
      name,
      name === 'schema' ? first : sample(inner),
    ]),
  );

/** Uses everything that a server offers, through the gateway: lists, reads, renders and calls, as a client of 2026-07-28 does. */
export const useEverything = async (
  gateway: Pick<RunningGateway, 'publicUrl'>,
  name: string,
  { context, version }: Pick<Task, 'context' | 'version'>,
  onError: (error: unknown) => Promise<void> | void = () => undefined,
  token: string = adminToken,
): Promise<void> => {
  const client = new Client(
    { name: 'driver', version: '1.0.0' },
    {
      capabilities: { elicitation: { form: { applyDefaults: true } }, sampling: {} },
      versionNegotiation: { mode: version === '2026-07-28' ? 'auto' : 'legacy' },
    },
  );
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: {} }));
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${gateway.publicUrl}/mcp/${name}`), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    }),
  );
  const has = client.getServerCapabilities() ?? {};
  const attempt = (work: Promise<unknown>): Promise<unknown> => work.catch(onError);
  if (has.tools) {
    const { tools } = await client.listTools();
    const first = (tools.find(({ name: tool }) => tool === 'json_schema_2020_12_tool') ?? tools[0])?.inputSchema as Json;
    const calls =
      context.toolCalls ?? tools.map((tool) => ({ name: tool.name, arguments: sampleArguments(tool.inputSchema as Json, first) }));
    for (const call of calls) await attempt(client.callTool(call));
  }
  if (has.resources) {
    const { resources } = await client.listResources();
    for (const { uri } of resources) await attempt(client.readResource({ uri }));
  }
  if (has.prompts) {
    const { prompts } = await client.listPrompts();
    for (const prompt of prompts) await attempt(client.getPrompt({ name: prompt.name, arguments: {} }));
  }
  await client.close();
};

/** Takes what the conformance program asks of "the client", and has the gateway do it: each time a server and a toolset of their own. */
export const startDriver = async (gateway: RunningGateway): Promise<{ url: string; close(): Promise<void> }> => {
  let count = 0;
  const drive = async (task: Task): Promise<void> => {
    count += 1;
    const name = `peer-${count}`;
    await gateway.apply(
      { kind: 'McpServer', metadata: { name }, spec: { url: task.url } },
      { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
    );
    await pollUntil(async () => {
      const servers = await listResources(gateway.database, { kind: 'McpServer' });
      return servers.find(({ metadata }) => metadata.name === name)?.status.conditions.find(({ type }) => type === 'Ready');
    }, `a first look at ${name}`);
    await useEverything(gateway, name, task);
  };
  const listener = createServer(async (request, response) => {
    try {
      await drive(JSON.parse(await text(request)) as Task);
      response.writeHead(204).end();
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => listener.close(() => resolve())),
  };
};
