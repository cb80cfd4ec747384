import { instanceHeader } from '../../schema/host-headers.ts';
import { metaKeys } from '../../schema/mcp-revisions.ts';
import type { ClientFacts } from '../mcp/client-request.ts';
import { type JsonObject, rpcCodes } from '../mcp/message.ts';
import { traceHeaders } from '../mcp/trace-context.ts';
import { encodeHeaderValue } from './encode-header-value.ts';
import { beginFlight, type Flight } from './flight.ts';
import { lossAtHost } from './loss-at-host.ts';
import { lossOfEnd } from './loss-of-end.ts';
import { nextRequestId } from './next-request-id.ts';
import { ownClientInfo } from './own-client-info.ts';
import { type AnswerEnd, readAnswer } from './read-answer.ts';
import { isModernError, lostByRefusal, type Refusal, readRefusal } from './refusal.ts';
import type { Greeting, SendOptions, Session } from './session.ts';
import type { UpstreamRequest } from './upstream.ts';
import { UpstreamLost } from './upstream-lost.ts';
import { acceptBoth, pathOf, type Wire } from './wire.ts';

/** What `Mcp-Name` repeats, where the caller does not say it. */
const nameOf = (params: JsonObject): string | undefined => {
  for (const value of [params.name, params.uri, params.taskId]) if (typeof value === 'string') return value;
  return undefined;
};

/**
 * Requests of one caller to a server without sessions: each says everything. Who gives a request up closes its connection, and by that takes it
 * back.
 * @param onContradiction - told when an answer shows that the server is of another era, or speaks another version, than was found out
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
 */
export const createModernSession = ({
  wire,
  greeting,
  client,
  onContradiction,
}: {
  wire: Wire;
  greeting: Greeting;
  client: Pick<ClientFacts, 'info' | 'capabilities'>;
  onContradiction: () => void;
}): Session => {
  const { protocolVersion } = greeting;
  const path = pathOf(wire.url);
  const baseHeaders = [...acceptBoth, ...wire.headers, 'mcp-protocol-version', protocolVersion];
  const baseMeta = {
    [metaKeys.protocolVersion]: protocolVersion,
    [metaKeys.clientInfo]: client.info ?? ownClientInfo,
    [metaKeys.clientCapabilities]: client.capabilities,
  };
  let load = 0;

  const headersOf = ({ method, params, meta, name = nameOf(params), parameterHeaders }: UpstreamRequest, instance?: string): string[] => {
    const headers = [...baseHeaders, ...traceHeaders(meta), 'mcp-method', method];
    if (name !== undefined) headers.push('mcp-name', encodeHeaderValue(name));
    for (const key in parameterHeaders) headers.push(key, parameterHeaders[key] ?? '');
    if (instance !== undefined) headers.push(instanceHeader, instance);
    return headers;
  };

  const bodyOf = (
    id: number,
    { method, params, meta, wantsProgress, onNotification }: UpstreamRequest,
    { logLevel }: SendOptions,
  ): string =>
    JSON.stringify({
      jsonrpc: '2.0',
      id,
      method,
      params: {
        ...params,
        _meta: {
          ...meta,
          ...baseMeta,
          ...(logLevel === undefined ? {} : { [metaKeys.logLevel]: logLevel }),
          ...(wantsProgress && onNotification ? { progressToken: id } : {}),
        },
      },
    });

  const refused = (flight: Flight, refusal: Refusal): void => {
    const isOfOtherVersion = refusal.error?.code === rpcCodes.unsupportedVersion;
    if (refusal.error && !isOfOtherVersion && (refusal.isOurs || isModernError(refusal))) {
      flight.settle({ kind: 'error', error: refusal.error });
      return;
    }
    if (isOfOtherVersion || [400, 404, 405].includes(refusal.status)) onContradiction();
    flight.fail(isOfOtherVersion ? new UpstreamLost(false, refusal.error, 'refused') : lostByRefusal(refusal));
  };

  const finish = (flight: Flight, end: AnswerEnd, wasSent: boolean): void => {
    if (flight.isOver) return;
    if (end.kind === 'refused') refused(flight, readRefusal({ ...end, id: flight.id }));
    else flight.fail(lossOfEnd(end, wasSent));
  };

  const send = (request: UpstreamRequest, options: SendOptions = {}) => {
    if (request.signal.aborted) return Promise.reject(new UpstreamLost(false, request.signal.reason, 'caller'));
    const id = nextRequestId();
    load += 1;
    const flight = beginFlight({
      id,
      request,
      capabilities: {},
      // a server of this era has no such way to ask, and we none to answer
      answer: () => undefined,
      abandon: () => {
        answer.abort();
        return answer.wasSent;
      },
      onOther: () => undefined,
      onOver: () => {
        load -= 1;
      },
    });
    const answer = readAnswer(
      wire.sender,
      { method: 'POST', path, headers: headersOf(request, options.instance), body: bodyOf(id, request, options) },
      {
        onStart: (status, headers) => {
          options.onHeaders?.(headers);
          const loss = wire.isOurHost ? lossAtHost(status, headers) : undefined;
          if (!loss) return undefined;
          flight.fail(loss);
          return { kind: 'ended' };
        },
        onMessage: flight.receive,
        onProgress: flight.heard,
        isDone: () => flight.isOver,
        onEnd: (end) => finish(flight, end, answer.wasSent),
      },
    );
    return flight.reply;
  };

  return {
    era: 'modern',
    get load() {
      return load;
    },
    open: async () => greeting,
    send,
    // clients of this era have nothing to tell outside their requests
    notify: () => undefined,
    close: async () => undefined,
  };
};
