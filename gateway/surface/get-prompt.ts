import { lexicalFacts } from '../../policy/argument-facts.ts';
import { PlatformError } from '../../schema/errors.ts';
import { permitExchange } from '../credentials/permit-exchange.ts';
import { decide } from '../decide.ts';
import { againIfUnsent } from '../exchange/again-if-unsent.ts';
import { exchangeWithServer } from '../exchange/exchange-with-server.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { flowFacts, flowReason } from '../labels/flow-facts.ts';
import { flowOfItem } from '../labels/flow-of-item.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, type JsonObject, type Reply, textOf } from '../mcp/message.ts';
import { callTimeouts } from '../tool-call/call-timeouts.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import { callerOf } from './caller-of.ts';
import { targetOf } from './decide-listing.ts';
import { argumentsOf } from './exposed.ts';
import { presentResult } from './present-result.ts';
import { recordUse, type Use, withinRates } from './record-use.ts';
import { argumentRefused, unknownPrompt } from './refuse.ts';
import { resolveFacts } from './resolve-facts.ts';
import type { ResourceDirectory } from './resource-directory.ts';
import { viewOf } from './view.ts';

/** @throws {PlatformError} `request_invalid` */
const readParams = ({ name, arguments: given = {} }: JsonObject): { name: string; given: JsonObject } => {
  if (typeof name !== 'string') throw new PlatformError('request_invalid', 'Invalid params: `name` is missing or no string.');
  if (!isObject(given) || !Object.values(given).every((value) => typeof value === 'string'))
    throw new PlatformError('request_invalid', 'Invalid params: `arguments` of a prompt are strings.');
  return { name, given };
};

/**
 * Answers `prompts/get`: by table, asked of policy with its arguments, from the server that has it.
 * @throws {PlatformError} `prompt_unknown`, `argument_refused`, `request_invalid`, and what `pool.connect` and `exchangeWithServer` throw
 */
export const createGetPrompt =
  ({ context, pool, directory }: { context: GatewayContext; pool: UpstreamPool; directory: ResourceDirectory }) =>
  (request: ClientRequest): Promise<Reply> => {
    const { principal, endpoint, params } = request;
    const use: Use = { action: 'getPrompt', name: `Prompt/${textOf(params.name)}`, startedAt: context.now() };
    return recordUse(context, request, use, async () => {
      const { name, given } = readParams(params);
      const { item, decision } = viewOf(context, principal, endpoint).find('prompt', name);
      use.decision = decision;
      if (!item) throw unknownPrompt(name, decision);
      const { server, pinned } = item;
      use.source = item;
      use.name = `Prompt/${pinned.name}`;
      const ask = async (): Promise<Reply> => {
        const connection = await pool.connect(server, callerOf(request));
        use.isolation = connection.isolation;
        // between the table and now the server may have begun to offer another one
        if (connection.offered.get(`prompt/${pinned.name}`) !== pinned.approvedHash) throw unknownPrompt(name, decision);
        const own = argumentsOf(item, given);
        const [facts] = await resolveFacts(server, connection, [lexicalFacts(own)]);
        use.facts = facts;
        const flow = flowOfItem(item);
        const carried = await context.labels.of(principal, flow.sink);
        use.decision = decide(context, {
          principal,
          action: 'getPrompt',
          ...targetOf(item, connection.isolation),
          facts: { arguments: facts ?? null, ...flowFacts(carried) },
        });
        if (use.decision.effect === 'deny') throw argumentRefused(name, use.decision, flowReason(use.decision, carried));
        // carried from here on, before anything of it can come back
        await context.labels.join(principal, flow.reads);
        return exchangeWithServer({
          gateway: context,
          pool,
          request,
          server,
          connection,
          method: 'prompts/get',
          params: { name: pinned.name, ...(Object.keys(own).length > 0 ? { arguments: own } : {}) },
          name: pinned.name,
          timeouts: callTimeouts(server),
          mask: item.mask,
        });
      };
      permitExchange(context, principal, item, use);
      const reply = await withinRates(context, request, server, () => againIfUnsent(request, ask));
      use.masked = {};
      return presentResult(request, item, reply, directory, use.masked);
    });
  };
