import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  PromptListChangedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

type Json = Record<string, unknown>;
export type CallOptions = { onProgress?: (progress: { progress: number; total?: number }) => void; signal?: AbortSignal };

/** A client that nobody here wrote, in one shape for both eras. It answers what servers ask: forms with Alice, samples with Paris, one root. */
export type Peer = {
  listTools(): Promise<string[]>;
  callTool(name: string, args?: Json, options?: CallOptions): Promise<Json>;
  listResources(): Promise<string[]>;
  listTemplates(): Promise<string[]>;
  readResource(uri: string): Promise<Json>;
  listPrompts(): Promise<string[]>;
  getPrompt(name: string, args?: Record<string, string>): Promise<Json>;
  complete(promptName: string, argument: { name: string; value: string }): Promise<Json>;
  /** Lists that were said to have changed, and log messages, as they came. */
  readonly changedLists: string[];
  readonly logs: unknown[];
  close(): Promise<void>;
};

const elicited = { action: 'accept' as const, content: { name: 'Alice', response: 'yes', ok: true, color: 'blue', context: 'night' } };
const sampled = { role: 'assistant' as const, model: 'scripted', content: { type: 'text' as const, text: 'Paris' } };
const roots = { roots: [{ uri: 'file:///work', name: 'work' }] };
const capabilities = { elicitation: { form: {} }, sampling: {}, roots: {} };
const info = { name: 'peer', version: '1.0.0' };
const headersOf = (token: string) => ({ requestInit: { headers: { authorization: `Bearer ${token}` } } });

/** The v1 SDK's client: 2025-11-25, with a session. */
export const connectLegacyPeer = async (url: string, token: string): Promise<Peer> => {
  const changedLists: string[] = [];
  const logs: unknown[] = [];
  const client = new LegacyClient(info, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, () => elicited);
  client.setRequestHandler(CreateMessageRequestSchema, () => sampled);
  client.setRequestHandler(ListRootsRequestSchema, () => roots);
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changedLists.push('tools'));
  client.setNotificationHandler(PromptListChangedNotificationSchema, () => void changedLists.push('prompts'));
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logs.push(params.data));
  await client.connect(new LegacyTransport(new URL(url), headersOf(token)) as never);
  await client.setLoggingLevel('debug');
  return {
    changedLists,
    logs,
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: async (name, args = {}, { onProgress, signal } = {}) =>
      (await client.callTool({ name, arguments: args }, CallToolResultSchema, {
        ...(onProgress ? { onprogress: onProgress } : {}),
        ...(signal ? { signal } : {}),
      })) as Json,
    listResources: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    listTemplates: async () => (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    readResource: async (uri) => (await client.readResource({ uri })) as Json,
    listPrompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
    getPrompt: async (name, args = {}) => (await client.getPrompt({ name, arguments: args })) as Json,
    complete: async (name, argument) => (await client.complete({ ref: { type: 'ref/prompt', name }, argument })) as Json,
    close: () => client.close(),
  };
};

/** The v2 SDK's client, which speaks 2026-07-28 wherever the server does. */
export const connectModernPeer = async (url: string, token: string): Promise<Peer> => {
  const changedLists: string[] = [];
  const logs: unknown[] = [];
  const client = new ModernClient(info, {
    capabilities,
    versionNegotiation: { mode: 'auto' },
    listChanged: {
      tools: { autoRefresh: false, debounceMs: 0, onChanged: () => void changedLists.push('tools') },
      prompts: { autoRefresh: false, debounceMs: 0, onChanged: () => void changedLists.push('prompts') },
    },
  });
  client.setRequestHandler('elicitation/create', () => elicited);
  client.setRequestHandler('sampling/createMessage', () => sampled);
  client.setRequestHandler('roots/list', () => roots);
  client.setNotificationHandler('notifications/message', ({ params }) => void logs.push(params.data));
  await client.connect(new ModernTransport(new URL(url), headersOf(token)));
  if (client.getNegotiatedProtocolVersion() !== '2026-07-28') throw new Error('the gateway was not taken for a modern server');
  const meta = { _meta: { 'io.modelcontextprotocol/logLevel': 'debug' } };
  return {
    changedLists,
    logs,
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: async (name, args = {}, { onProgress, signal } = {}) =>
      (await client.callTool(
        { name, arguments: args, ...meta },
        { ...(onProgress ? { onprogress: onProgress } : {}), ...(signal ? { signal } : {}) },
      )) as Json,
    listResources: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    listTemplates: async () => (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    readResource: async (uri) => (await client.readResource({ uri })) as Json,
    listPrompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
    getPrompt: async (name, args = {}) => (await client.getPrompt({ name, arguments: args })) as Json,
    complete: async (name, argument) => (await client.complete({ ref: { type: 'ref/prompt', name }, argument })) as Json,
    close: () => client.close(),
  };
};
