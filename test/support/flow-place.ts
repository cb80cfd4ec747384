import { callHeaders } from './call-headers.ts';
import { startFlowServer } from './flow-server.ts';
import { pollUntil } from './poll-until.ts';
import { type RunningGateway, startRunningGateway } from './running-gateway.ts';

/** A model's words: `read` gives out secrets, `fetch` what strangers wrote and `post` takes things out. */
export const startFlowPlace = async ({
  labelled = true,
  waysOut = [{ name: 'post', readOnly: false, openWorld: true }],
  resources = [],
}: {
  labelled?: boolean;
  waysOut?: Parameters<typeof startFlowServer>[0];
  resources?: object[];
} = {}) => {
  const files = await startFlowServer([
    { name: 'read', readOnly: true, openWorld: false },
    { name: 'plain', readOnly: true, openWorld: false },
    { name: 'save', readOnly: false, openWorld: false },
  ]);
  const web = await startFlowServer([{ name: 'fetch', readOnly: true, openWorld: true }], 'web');
  const outside = await startFlowServer(waysOut, 'out');
  const gateway = await startRunningGateway();
  const server = (name: string, url: string, flow: object) => ({
    kind: 'McpServer',
    metadata: { name },
    spec: { url, timeoutSeconds: 5, ...(labelled ? { flow } : {}) },
  });
  await gateway.apply(
    server('files', files.url, { tools: { read: { secrecy: 2 } }, resources: [{ uri: 'note:///*', secrecy: 1, source: false }] }),
    server('web', web.url, { tools: { fetch: { sink: false } } }),
    server('outside', outside.url, { sink: true, tools: { post: { maxSecrecy: 1 } } }),
    {
      kind: 'Toolset',
      metadata: { name: 'all' },
      spec: { servers: [{ name: 'files' }, { name: 'web' }, { name: 'outside' }], naming: 'plain', conflicts: 'priority' },
    },
    {
      kind: 'AccessBinding',
      metadata: { name: 'all' },
      spec: { subjects: [{ agentRole: 'reader' }, { group: 'guests' }], toolsets: ['all'] },
    },
    ...resources,
  );
  const wanted = ['read', 'fetch', ...waysOut.map(({ name }) => name)];
  await pollUntil(async () => {
    const listed = await gateway.ready('all');
    return wanted.every((name) => listed.includes(`"name":"${name}"`)) || undefined;
  }, 'all servers to be looked at');
  const audience = `${gateway.publicUrl}/mcp/default/default/all`;

  const ask = async (token: string, method: string, params: object, { url = gateway.publicUrl, operationId = '' } = {}) => {
    const response = await fetch(`${url}/mcp/default/default/all`, {
      method: 'POST',
      headers: callHeaders(token, operationId),
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const body = await response.text();
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
    return JSON.parse(body.startsWith('{') ? body : (/^data: (\{.*)$/m.exec(body)?.[1] ?? '{}')) as any;
  };

  return {
    gateway,
    files,
    web,
    outside,
    audience,
    ask,
    call: (token: string, name: string, given: object = {}, options?: Parameters<typeof ask>[3]) =>
      ask(token, 'tools/call', { name, arguments: given }, options),
    /** A running agent and its token for the toolset. */
    agent: async (more: Parameters<RunningGateway['addAgent']>[0] = {}) => {
      const { id, runId } = await gateway.addAgent(more);
      return { id, runId, token: await gateway.mint(id, audience) };
    },
    close: async (): Promise<void> => {
      await gateway.close();
      for (const server of [files, web, outside]) await server.close();
    },
  };
};
export type FlowPlace = Awaited<ReturnType<typeof startFlowPlace>>;
