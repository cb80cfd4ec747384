import { isObject, type RequestId, rpcCodes } from '../../gateway/mcp/message.ts';
import { createEventReader } from '../../gateway/upstream/read-events.ts';
import { GatewayAway, type HttpAnswer } from './gateway-http.ts';
import { errorLine } from './rpc-line.ts';

/** Of one message; the gateway's own limit for results is 16 MiB. */
const mostBytes = 32 * 1024 * 1024;

/** How far a stream of events was read: where to take it up again, and how long to wait before. */
export type StreamPlace = { eventId?: string; retryMs?: number };

export const isEventStream = ({ headers }: HttpAnswer): boolean => String(headers['content-type'] ?? '').startsWith('text/event-stream');

/** A message on one line, as stdio needs it; changed only where it has line breaks. */
const onOneLine = (text: string): string => (/[\r\n]/.test(text) ? JSON.stringify(JSON.parse(text)) : text);

const readWhole = async ({ body }: HttpAnswer): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
};

/**
 * Reads the messages of an answer, whichever way it came; the next is read when the last was taken.
 * @param place - moved along with the stream
 * @throws {GatewayAway} when the connection breaks
 */
export const readAnswer = async (answer: HttpAnswer, place: StreamPlace, onMessage: (text: string) => Promise<void>): Promise<void> => {
  try {
    if (!isEventStream(answer)) {
      const text = (await readWhole(answer)).trim();
      if (text !== '') await onMessage(onOneLine(text));
      return;
    }
    let read: string[] = [];
    const reader = createEventReader({ mostBytes, onEvent: ({ data }) => read.push(data) });
    for await (const chunk of answer.body) {
      if (!reader.push(chunk)) throw new Error('an event of the gateway is too long');
      for (const data of read) await onMessage(onOneLine(data));
      read = [];
      if (reader.eventId !== undefined) place.eventId = reader.eventId;
      if (reader.retryMs !== undefined) place.retryMs = reader.retryMs;
    }
  } catch (error) {
    throw new GatewayAway(true, error);
  }
};

/** A refusal (HTTP 4xx and 5xx) as the error that answers a request: its JSON-RPC error where it has one, else what it says for a person. */
export const refusalLine = async (answer: HttpAnswer, id: RequestId): Promise<string> => {
  const said = await readWhole(answer)
    .then(JSON.parse)
    .catch(() => undefined);
  const { error, error_description: description, detail } = isObject(said) ? said : {};
  if (isObject(error)) return JSON.stringify({ jsonrpc: '2.0', id, error });
  const text = [description, detail].find((each) => typeof each === 'string') ?? `The gateway answered HTTP ${answer.status}.`;
  const code = answer.status === 401 ? 'token_refused' : 'request_invalid';
  return errorLine(id, rpcCodes.platform, String(text), { code, retryable: false });
};
