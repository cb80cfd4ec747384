import { isModernVersion } from '../../schema/mcp-revisions.ts';
import type { WatchStream } from '../auth/create-stream-guard.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { isObject, rpcCodes } from '../mcp/message.ts';
import type { RefusedRequest } from '../record-refused.ts';
import type { Surface } from '../surface/surface.ts';
import { refuse } from './answer-json.ts';
import { checkMessage } from './check-message.ts';
import { chooseEra, namesVersion } from './choose-era.ts';
import type { EdgeRequest, LegacyEdge } from './legacy-edge.ts';
import type { AnswerTiming } from './modern-answer.ts';
import { type BodyReading, leavesTooMuch, mostBodyBytes, readBody } from './read-body.ts';
import { readJson } from './read-json.ts';
import { createModernEdge } from './serve-modern.ts';

const versionHeader = 'mcp-protocol-version';

const versionOf = ({ request }: EdgeRequest): string | undefined => {
  const version = request.headers[versionHeader];
  return Array.isArray(version) ? version.join(', ') : version;
};

const isJson = (contentType: string | undefined): boolean =>
  contentType === undefined || contentType === 'application/json' || /^application\/json\s*(;|$)/i.test(contentType);

/**
 * Makes what serves MCP over HTTP to authenticated callers, both eras at one address: reads each body once, refuses what is no
 * JSON-RPC, and hands it to the era that it belongs to.
 * @param options.timing - for tests: when streams open, are kept alive, and are given up
 * @returns `serve`, which answers whatever happens
 */
export const createMcpEdge = ({
  context,
  surface,
  legacy,
  watchStream,
  onRefused,
  timing,
}: {
  context: Pick<GatewayContext, 'logger'>;
  surface: Surface;
  legacy: LegacyEdge;
  /** For streams that stand. */
  watchStream: WatchStream;
  /** Told of each modern request whose headers or `_meta` are not what they have to be. */
  onRefused?: (request: RefusedRequest) => void;
  timing?: AnswerTiming;
}) => {
  const serveModern = createModernEdge({ surface, logger: context.logger, watchStream, onRefused, ...(timing ? { timing } : {}) });
  const invalid = (from: EdgeRequest, id: string | number | null, reason: string, code: number = rpcCodes.invalidRequest): void =>
    refuse(from.response, 400, id, { code, message: `${code === rpcCodes.parse ? 'Parse error' : 'Invalid request'}: ${reason}.` });

  const serveBatch = (from: EdgeRequest, messages: unknown[]): void | Promise<void> => {
    if (messages.length === 0) return invalid(from, null, 'the batch is empty');
    const isModern = (message: unknown): boolean => isObject(message) && isObject(message.params) && namesVersion(message.params);
    if (isModernVersion(versionOf(from)) || messages.some(isModern)) return invalid(from, null, 'this protocol version has no batches');
    return legacy.post({ ...from, message: messages });
  };

  const read = (from: EdgeRequest, body: BodyReading): void | Promise<void> => {
    const { request, response } = from;
    if (body.kind === 'gone') return void response.destroy();
    if (body.kind === 'too-large')
      return refuse(
        response,
        413,
        null,
        {
          code: rpcCodes.platform,
          message: `The body is larger than ${mostBodyBytes} bytes; send less.`,
          data: { code: 'request_too_large', retryable: false },
        },
        leavesTooMuch(request) ? { connection: 'close' } : {},
      );
    const json = readJson(body.bytes);
    if (!json.ok) return invalid(from, null, json.reason, json.code);
    if (Array.isArray(json.value)) return serveBatch(from, json.value);
    const message = checkMessage(json.value);
    if (message.kind === 'invalid') return invalid(from, message.id, message.reason);
    const choice = chooseEra(message, versionOf(from));
    if (choice.era === 'legacy') return legacy.post({ ...from, message: json.value });
    // a response never belongs to the modern era
    if (choice.era === 'modern' && message.kind !== 'response') return serveModern(from, message);
    if (choice.era === 'neither') refuse(response, 400, message.kind === 'request' ? message.id : null, choice.error);
  };

  const post = (from: EdgeRequest): void | Promise<void> => {
    const { request, response } = from;
    const { 'content-type': contentType, 'content-encoding': encoding = 'identity' } = request.headers;
    if (!isJson(contentType) || encoding !== 'identity')
      return refuse(response, 415, null, { code: rpcCodes.invalidRequest, message: 'Send application/json, not compressed.' });
    const reading = readBody(request);
    return reading instanceof Promise ? reading.then((body) => read(from, body)) : read(from, reading);
  };

  return {
    /** A promise only where there is something to wait for: each one more costs every call. */
    serve: (from: EdgeRequest): void | Promise<void> => {
      const { method } = from.request;
      if (method === 'POST') return post(from);
      // modern clients have nothing but POST
      const isLegacy = !isModernVersion(versionOf(from));
      if (isLegacy && method === 'GET') return legacy.get(from);
      if (isLegacy && method === 'DELETE') return legacy.delete(from);
      from.response.writeHead(405, { allow: isLegacy ? 'GET, POST, DELETE' : 'POST', 'content-type': 'application/json' });
      from.response.end(JSON.stringify({ error: 'method_not_allowed', error_description: 'Messages are sent with POST.' }));
    },
  };
};
