import { randomUUID } from 'node:crypto';
import { isObject, type JsonObject, objectAt, type RequestId, rpcCodes } from '../../gateway/mcp/message.ts';
import { encodeHeaderValue } from '../../gateway/upstream/encode-header-value.ts';
import { GatewayAway, type GatewayHttp } from './gateway-http.ts';
import { whileAway } from './patience.ts';
import { readAnswer, refusalLine } from './read-answer.ts';
import { awayLine, type RequestLine, versionOf } from './rpc-line.ts';
import { createToolHeaders } from './tool-headers.ts';

export type Deliver = (text: string) => Promise<void>;

const errorOf = (reply: string): JsonObject => objectAt(JSON.parse(reply), 'error');

/** The gateway still works on the first sending of this very call. */
const isUnderWay = (reply: string): boolean => objectAt(errorOf(reply), 'data').code === 'operation_in_progress';

const isReplyTo = (text: string, id: RequestId): boolean => {
  const message: unknown = JSON.parse(text);
  return isObject(message) && !('method' in message) && message.id === id;
};

/**
 * Passes on requests of modern clients: each is a POST of its own that says all about itself, and closing its stream cancels it.
 * A request whose connection broke is sent again, under the same `Idempotency-Key`, so that the gateway does at most once what it does.
 */
export const createModernRelay = ({ http, deliver }: { http: GatewayHttp; deliver: Deliver }) => {
  const tools = createToolHeaders();

  const headersOf = ({ method, params }: RequestLine, key: string): Record<string, string> => {
    const name = params.name ?? params.uri ?? params.taskId;
    return {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': versionOf(params) ?? '',
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': encodeHeaderValue(name) } : {}),
      ...(method === 'tools/call' ? { ...tools.headersOf(params), 'idempotency-key': key } : {}),
    };
  };

  /**
   * Sends a request once.
   * @param onMessage - takes what comes before the answer
   * @returns the text of the answer
   * @throws {GatewayAway} when there is none
   */
  const ask = async (line: RequestLine, key: string, signal: AbortSignal, onMessage: Deliver): Promise<string> => {
    const answer = await http.send('POST', headersOf(line, key), { body: line.text, signal });
    if (answer.status >= 400) return refusalLine(answer, line.id);
    let reply: string | undefined;
    await readAnswer(answer, {}, async (text) => {
      if (reply === undefined && isReplyTo(text, line.id)) reply = text;
      else await onMessage(text);
    });
    if (reply === undefined) throw new GatewayAway(true, 'the stream ended without an answer');
    if (line.method === 'tools/list') tools.learn(objectAt(JSON.parse(reply), 'result'));
    return reply;
  };

  /** Reads the list of tools for the headers that their schemas ask for. */
  const learnTools = async ({ params }: RequestLine, signal: AbortSignal): Promise<void> => {
    let cursor: unknown;
    do {
      const asked = { _meta: { ...objectAt(params, '_meta'), progressToken: undefined }, ...(cursor === undefined ? {} : { cursor }) };
      const id = `quarterdeck-${randomUUID()}`;
      const text = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list', params: asked });
      const reply = await ask({ kind: 'request', text, id, method: 'tools/list', params: asked }, id, signal, async () => undefined);
      cursor = objectAt(JSON.parse(reply), 'result').nextCursor;
    } while (typeof cursor === 'string' && !signal.aborted);
  };

  return {
    ask,
    /** Answers a request in any case, unless the signal ends it. */
    request: async (line: RequestLine, signal: AbortSignal): Promise<void> => {
      const key = randomUUID();
      let isRepeated = false;
      let hasLearned = false;
      const work = async (): Promise<string> => {
        const again = isRepeated;
        isRepeated = true;
        const reply = await ask(line, key, signal, deliver);
        if (again && isUnderWay(reply)) throw new GatewayAway(true, 'the first sending is still under way');
        if (hasLearned || line.method !== 'tools/call' || errorOf(reply).code !== rpcCodes.headerMismatch) return reply;
        hasLearned = true;
        await learnTools(line, signal);
        return ask(line, key, signal, deliver);
      };
      const reply = await whileAway(work, { signal }).catch((error) => {
        if (error instanceof GatewayAway) return awayLine(line.id);
        throw error;
      });
      if (!signal.aborted) await deliver(reply);
    },
  };
};
export type ModernRelay = ReturnType<typeof createModernRelay>;
