import { PlatformError } from '../../schema/errors.ts';
import { exchangeWithServer } from '../exchange/exchange-with-server.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, type JsonObject, type Reply } from '../mcp/message.ts';
import { callTimeouts } from '../tool-call/call-timeouts.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import { callerOf } from './caller-of.ts';
import type { Source } from './exposed.ts';
import { recordUse, type Use } from './record-use.ts';
import { unknownPrompt, unknownResource } from './refuse.ts';
import type { ResourceDirectory } from './resource-directory.ts';
import { viewOf } from './view.ts';

/** The specification's own limit. */
const maxValues = 100;

type Reference = { source: Source; ref: JsonObject };

const empty: Reply = { kind: 'result', result: { completion: { values: [] } } };

const bounded = (reply: Reply): Reply => {
  if (reply.kind === 'error') return reply;
  const { completion } = reply.result;
  if (!isObject(completion) || !Array.isArray(completion.values)) return empty;
  const values = completion.values.filter((value) => typeof value === 'string');
  const isCut = values.length > maxValues;
  return {
    kind: 'result',
    result: { ...reply.result, completion: { ...completion, values: values.slice(0, maxValues), ...(isCut ? { hasMore: true } : {}) } },
  };
};

/**
 * Answers `completion/complete` for a prompt or template that is on the caller's lists, from the server that has it; a server without
 * completions has none to offer.
 * @throws {PlatformError} `prompt_unknown`, `resource_unknown`, `request_invalid`, and what `pool.connect` and `exchangeWithServer` throw
 */
export const createComplete = ({
  context,
  pool,
  directory,
}: {
  context: GatewayContext;
  pool: UpstreamPool;
  directory: ResourceDirectory;
}) => {
  const findReference = async (request: ClientRequest, ref: JsonObject, use: Use): Promise<Reference> => {
    const view = viewOf(context, request.principal, request.endpoint);
    if (ref.type === 'ref/prompt' && typeof ref.name === 'string') {
      use.name = `Prompt/${ref.name}`;
      const { item, decision } = view.find('prompt', ref.name);
      use.decision = decision;
      if (!item) throw unknownPrompt(ref.name, decision);
      return { source: item, ref: { ...ref, name: item.pinned.name } };
    }
    if (ref.type === 'ref/resource' && typeof ref.uri === 'string') {
      const { uri } = ref;
      use.name = `Resource/${uri}`;
      const template = view.list('template').find(({ name }) => name === uri);
      if (template) return { source: template, ref: { ...ref, uri: template.pinned.name } };
      const located = await directory.findResource(request, uri);
      use.decision = located.decision;
      if (!located.source) throw unknownResource(uri, located.decision);
      return { source: located.source, ref: { ...ref, uri: located.uri } };
    }
    throw new PlatformError(
      'request_invalid',
      'Invalid params: `ref` is neither a `ref/prompt` with `name` nor a `ref/resource` with `uri`.',
    );
  };

  return (request: ClientRequest): Promise<Reply> => {
    const use: Use = { action: 'complete', name: '', startedAt: context.now() };
    return recordUse(context, request, use, async () => {
      const { ref, argument, context: given } = request.params;
      if (!isObject(ref)) throw new PlatformError('request_invalid', 'Invalid params: `ref` is missing or no object.');
      if (!isObject(argument) || typeof argument.name !== 'string' || typeof argument.value !== 'string')
        throw new PlatformError('request_invalid', 'Invalid params: `argument` has `name` and `value`, which are strings.');
      const { source, ref: own } = await findReference(request, ref, use);
      use.source = source;
      const connection = await pool.connect(source.server, callerOf(request));
      if (connection.capabilities.completions === undefined) return empty;
      const reply = await exchangeWithServer({
        gateway: context,
        pool,
        request,
        server: source.server,
        connection,
        method: 'completion/complete',
        params: { ref: own, argument, ...(isObject(given) ? { context: given } : {}) },
        timeouts: callTimeouts(source.server),
      });
      return bounded(reply);
    });
  };
};
