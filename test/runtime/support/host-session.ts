import { type Message, readEvents } from './event-reader.ts';
import type { HostHarness } from './host-harness.ts';

const events = { accept: 'application/json, text/event-stream' };

export type HostSession = Awaited<ReturnType<typeof openHostSession>>;

/** A session with a legacy instance, by plain HTTP, as the gateway would have it. */
export const openHostSession = async (host: HostHarness, instance: string, capabilities: object = {}) => {
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'plain', version: '1.0.0' } };
  const opened = await host.rpc(instance, { jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const id = opened.headers.get('mcp-session-id') ?? '';
  const headers = { ...events, 'mcp-session-id': id };
  const init = { headers };
  const post = (message: object, changes: RequestInit = {}) => host.rpc(instance, { jsonrpc: '2.0', ...message }, { ...init, ...changes });
  let lastId = 0;
  const send = (method: string, parameters: object = {}, changes?: RequestInit) => {
    lastId += 1;
    return post({ id: lastId, method, params: parameters }, changes);
  };
  /** The answer to a request, whether it came as JSON or as the last event. */
  const ask = async (method: string, parameters?: object): Promise<Message> => {
    const response = await send(method, parameters);
    const text = await response.text();
    return JSON.parse(response.headers.get('content-type') === 'text/event-stream' ? (text.trim().split('data: ').at(-1) ?? '') : text);
  };
  const call = (name: string, args: object = {}) => ask('tools/call', { name, arguments: args });
  return {
    id,
    initialized: (await opened.json()) as Message,
    post,
    send,
    ask,
    call,
    callText: async (name: string, args?: object) => (await call(name, args)).result?.content?.[0]?.text ?? '',
    /** A call whose answer is read as events. */
    callWithEvents: async (name: string, args: object = {}, changes?: RequestInit) =>
      readEvents(await send('tools/call', { name, arguments: args }, changes)),
    stream: async () => readEvents(await host.request('GET', host.pathOf(instance, '/mcp'), undefined, init)),
    end: () => host.request('DELETE', host.pathOf(instance, '/mcp'), undefined, init),
  };
};
