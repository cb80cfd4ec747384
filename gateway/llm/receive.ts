import type { IncomingMessage } from 'node:http';
import { PlatformError } from '../../schema/errors.ts';
import { readOperationId } from '../mcp/read-operation-id.ts';
import { parseChatRequest } from './chat-request.ts';
import { CallerLeft, type ModelCallStep } from './model-call.ts';

const mostBytes = 4 * 1024 * 1024;

const tooLarge = (): PlatformError => new PlatformError('request_too_large', `The body is larger than ${mostBytes} bytes; send less.`);

const readBytes = async (request: IncomingMessage): Promise<Buffer> => {
  if (Number(request.headers['content-length'] ?? 0) > mostBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  // not destroyed at the end of the loop: the refusal still has to be sent on the same connection
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > mostBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

/** The body as a chat request, read only now that the caller is known; at most 4 MiB, refused before it is parsed. */
export const receive: ModelCallStep = async (call, next) => {
  const { request, caller } = call;
  const key = request.headers['idempotency-key'];
  call.operationId = readOperationId(undefined, Array.isArray(key) ? key.join(', ') : key).operationId;
  if ((request.headers['content-encoding'] ?? 'identity') !== 'identity')
    throw new PlatformError('request_invalid', 'A compressed body is not read; send it as it is.');
  const bytes = await readBytes(request).catch((error: unknown) => {
    if (error instanceof PlatformError) throw error;
    caller.abort();
    throw new CallerLeft('the caller left before its request was complete', { cause: error });
  });
  call.chat = parseChatRequest(bytes);
  call.name = call.chat.body.model;
  Object.assign(call.facts, { requestBytes: call.chat.bytes, messages: call.chat.body.messages.length, streamed: call.chat.isStreamed });
  return next();
};
