import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import { PlatformError, problemDetails, toPlatformError } from '../../schema/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** When a place may have become free. */
const retryAfterSeconds = 10;
const maximumBodyBytes = 4 * 1024 * 1024;

/** Reads a request's body as text. @throws {PlatformError} `request_too_large` over 4 MiB */
export const readBody = (request: IncomingMessage): Promise<string> => {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Buffer[] = [];
  let length = 0;
  // By events: an asynchronous loop over a request costs more than the rest of a small call together.
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= maximumBodyBytes) return void chunks.push(chunk);
    request.pause();
    reject(new PlatformError('request_too_large', 'The body is over 4 MiB.'));
  });
  request.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
  request.once('error', reject);
  return promise;
};

/** Reads and checks a JSON body. @throws {PlatformError} `input_invalid` naming the first field that is wrong, `request_too_large` */
export const readJson = async <Schema extends z.ZodType>(request: IncomingMessage, schema: Schema): Promise<z.output<Schema>> => {
  const body = await readBody(request);
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new PlatformError('input_invalid', 'The body is not JSON.', { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PlatformError('input_invalid', `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'is not usable'}`);
};

export const sendJson = (response: ServerResponse, status: number, value: unknown): void => {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
};

export const sendEmpty = (response: ServerResponse, status: number, headers: Record<string, string> = {}): void => {
  response.writeHead(status, headers).end();
};

/** Answers with problem details (RFC 9457); what is not ours is shown as `internal` and its cause goes to the log alone. */
export const sendProblem = (response: ServerResponse, thrown: unknown, logger: Logger): void => {
  const error = toPlatformError(thrown);
  const requestId = randomUUID();
  if (error.code === 'internal') logger.error({ event: 'request-failed', requestId, err: error.cause }, 'request failed');
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // The rest of a body that is too large is not read; the connection cannot be used again.
  const connection = error.code === 'request_too_large' ? { connection: 'close' } : {};
  const retry = error.code === 'capacity_reached' ? { 'retry-after': `${retryAfterSeconds}` } : {};
  const body = JSON.stringify(problemDetails(error, requestId));
  response.writeHead(error.status, { 'content-type': 'application/problem+json', ...connection, ...retry }).end(body);
};
