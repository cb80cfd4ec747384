import { uriFacts } from '../../policy/uri-facts.ts';
import { PlatformError } from '../../schema/errors.ts';
import { permitExchange } from '../credentials/permit-exchange.ts';
import { decide } from '../decide.ts';
import { againIfUnsent } from '../exchange/again-if-unsent.ts';
import { exchangeWithServer } from '../exchange/exchange-with-server.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { flowFacts, flowReason } from '../labels/flow-facts.ts';
import { flowOfResource } from '../labels/flow-of-item.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, objectAt, type Reply, rpcCodes, textOf } from '../mcp/message.ts';
import { callTimeouts } from '../tool-call/call-timeouts.ts';
import type { Connection } from '../upstream/upstream.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import { callerOf } from './caller-of.ts';
import { resourceTarget } from './decide-listing.ts';
import { isComplete, presentResult } from './present-result.ts';
import { recordUse, type Use, withinRates } from './record-use.ts';
import { argumentRefused, resourceNotFoundCode, unknownResource } from './refuse.ts';
import { resolveFacts } from './resolve-facts.ts';
import type { Located, ResourceDirectory } from './resource-directory.ts';

/** What the server says of a URI that it has not, in the words of the client's era and about the URI that the client gave. */
const notFoundIn = (reply: Reply, { client: { era } }: ClientRequest, given: string): Reply => {
  if (reply.kind === 'error') {
    const { code, message, data } = reply.error;
    const saysSo = (isObject(data) && typeof data.uri === 'string') || /not found|unknown resource/i.test(message);
    const isNotFound = code === -32002 || (code === rpcCodes.invalidParams && saysSo);
    if (!isNotFound) return reply;
    return {
      kind: 'error',
      error: { ...reply.error, code: resourceNotFoundCode(era), data: { ...objectAt({ data }, 'data'), uri: given } },
    };
  }
  const { contents } = reply.result;
  // an empty list says neither that it is there nor that it is not (2026-07-28, resources)
  if (!isComplete(reply.result) || !Array.isArray(contents) || contents.length > 0) return reply;
  return { kind: 'error', error: { code: resourceNotFoundCode(era), message: 'Resource not found', data: { uri: given } } };
};

/** What a modern client may do with it: nobody else may have it, and what took several rounds is not for keeping. */
const withHints = (reply: Reply, { client, round }: ClientRequest): Reply => {
  if (reply.kind === 'error' || client.era === 'legacy' || !isComplete(reply.result)) return reply;
  const { ttlMs } = reply.result;
  const keeps = round === undefined && Number.isSafeInteger(ttlMs) && Number(ttlMs) >= 0;
  return { kind: 'result', result: { ...reply.result, ttlMs: keeps ? ttlMs : 0, cacheScope: 'private' } };
};

/**
 * Answers `resources/read`: by table, asked of policy with what the URI names, from the server that has it.
 * @throws {PlatformError} `resource_unknown`, `argument_refused`, `request_invalid`, and what `pool.connect` and `exchangeWithServer` throw
 */
export const createReadResource = ({
  context,
  pool,
  directory,
}: {
  context: GatewayContext;
  pool: UpstreamPool;
  directory: ResourceDirectory;
}) => {
  /** @throws {PlatformError} the refusal of what the caller may not read, or not at the moment */
  const authorize = async (request: ClientRequest, located: Located, connection: Connection, given: string, use: Use): Promise<void> => {
    const { principal } = request;
    const { source, uri, templates, isByTemplate } = located;
    const [facts] = await resolveFacts(source.server, connection, [uriFacts(uri)]);
    use.facts = facts;
    const flow = flowOfResource(source, uri);
    const carried = await context.labels.of(principal, flow.sink);
    if (carried) use.carried = carried;
    const asked = {
      principal,
      action: 'readResource',
      ...resourceTarget(source, uri, templates, connection.isolation),
      facts: { arguments: facts ?? null, ...flowFacts(use.carried) },
    };
    use.decision = decide(context, asked);
    // carried from here on, before anything of it can come back
    if (use.decision.effect === 'allow') return context.labels.join(principal, flow.reads);
    // what is never allowed is not there; a template that the caller sees was given another argument
    const isForever = decide(context, { ...asked, facts: { arguments: facts ?? null }, isMoment: false }).effect === 'deny';
    throw isForever && !isByTemplate
      ? unknownResource(given, use.decision)
      : argumentRefused(given, use.decision, flowReason(use.decision, carried));
  };

  return (request: ClientRequest): Promise<Reply> => {
    const { uri: given } = request.params;
    const use: Use = { action: 'readResource', name: `Resource/${textOf(given)}`, startedAt: context.now() };
    return recordUse(context, request, use, async () => {
      if (typeof given !== 'string') throw new PlatformError('request_invalid', 'Invalid params: `uri` is missing or no string.');
      const located = await directory.findResource(request, given);
      use.decision = located.decision;
      if (!located.source) throw unknownResource(given, located.decision);
      const { source, uri } = located;
      use.source = source;
      use.name = `Resource/${uri}`;
      const read = async (): Promise<Reply> => {
        const connection = await pool.connect(source.server, callerOf(request));
        use.isolation = connection.isolation;
        if (!isObject(connection.capabilities.resources)) throw unknownResource(given, located.decision);
        await authorize(request, located, connection, given, use);
        return exchangeWithServer({
          gateway: context,
          pool,
          request,
          server: source.server,
          connection,
          method: 'resources/read',
          params: { uri },
          name: uri,
          timeouts: callTimeouts(source.server),
          mask: source.mask,
        });
      };
      permitExchange(context, request.principal, source, use);
      const reply = await withinRates(context, request, source.server, () => againIfUnsent(request, read));
      use.masked = {};
      return withHints(await presentResult(request, source, notFoundIn(reply, request, given), directory, use.masked), request);
    });
  };
};
