import type { LegacyReplica } from './running-legacy.ts';

type Headers = Record<string, string>;
export type SseEvent = { event?: string; id?: string; data?: string; retry?: string };

/** Reads the events of a stream one by one; comments are left out. */
export class SseReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = '';
  constructor(response: Response) {
    if (!response.body) throw new Error('the response has no body');
    this.#reader = response.body.getReader();
  }

  /** The next event; undefined at the end of the stream. */
  async next(): Promise<SseEvent | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        const lines = block.split('\n').filter((line) => !line.startsWith(':') && line !== '');
        if (lines.length === 0) continue;
        return Object.fromEntries(
          lines.map((line) => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
          }),
        );
      }
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += this.#decoder.decode(value, { stream: true });
    }
  }

  /** The next JSON-RPC message; events without data are passed over. */
  async message(): Promise<{ id: string | undefined; message: Record<string, unknown> } | undefined> {
    for (;;) {
      const event = await this.next();
      if (!event) return undefined;
      if (event.data) return { id: event.id, message: JSON.parse(event.data) };
    }
  }

  /** All that comes until the end. */
  async rest(): Promise<SseEvent[]> {
    const events: SseEvent[] = [];
    for (let event = await this.next(); event; event = await this.next()) events.push(event);
    return events;
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

const both = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };

export const postTo = (replica: Pick<LegacyReplica, 'url'>, body: unknown, headers: Headers = {}): Promise<Response> =>
  fetch(replica.url, { method: 'POST', headers: { ...both, ...headers }, body: JSON.stringify(body) });

export const getFrom = (replica: Pick<LegacyReplica, 'url'>, headers: Headers = {}): Promise<Response> =>
  fetch(replica.url, { headers: { accept: 'text/event-stream', ...headers } });

export const request = (id: string | number, method: string, params: object = {}) => ({ jsonrpc: '2.0', id, method, params });
export const callOf = (id: string | number, name: string, args: object = {}) => request(id, 'tools/call', { name, arguments: args });

/** A legacy client of bare HTTP. It can send to any replica. */
export const startLegacyClient = async (
  replica: LegacyReplica,
  {
    version = '2025-11-25',
    capabilities = { elicitation: {} },
    as = 'admin',
  }: { version?: string; capabilities?: object; as?: string } = {},
) => {
  const authorization = { authorization: `Bearer ${as}` };
  const begun = await postTo(
    replica,
    request('init', 'initialize', { protocolVersion: version, capabilities, clientInfo: { name: 'bare', version: '1' } }),
    authorization,
  );
  const session = begun.headers.get('mcp-session-id');
  if (!session) throw new Error(`no session: ${begun.status} ${await begun.text()}`);
  const { result } = (await begun.json()) as { result: { protocolVersion: string } };
  const headers: Headers = { ...authorization, 'mcp-session-id': session, 'mcp-protocol-version': result.protocolVersion };
  return {
    session,
    headers,
    result,
    post: (body: unknown, to: LegacyReplica = replica, more: Headers = {}) => postTo(to, body, { ...headers, ...more }),
    /** @param lastEventId - goes on behind this event */
    get: (lastEventId?: string, to: LegacyReplica = replica) =>
      getFrom(to, { ...headers, ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }) }),
    end: (to: LegacyReplica = replica) => fetch(to.url, { method: 'DELETE', headers }),
  };
};
export type LegacyClient = Awaited<ReturnType<typeof startLegacyClient>>;
