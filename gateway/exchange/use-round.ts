import { createHash } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import type { UsedRoundStore } from '../../store/mcp-used-rounds.ts';
import { canonicalJson } from '../../store/resources.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest, Round } from '../mcp/client-request.ts';
import { isObject, objectAt, textOf } from '../mcp/message.ts';
import { readOperationId } from '../mcp/read-operation-id.ts';
import { stateLifetimeMs } from './request-state.ts';

const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url');

/** Only a tool call is an operation; any other request is known by its answers alone. */
const operationOf = ({ method, params: { _meta }, idempotencyKey }: ClientRequest, round: Round): string =>
  method === 'tools/call' ? readOperationId(isObject(_meta) ? _meta : undefined, idempotencyKey, round).operationId : '';

/**
 * Takes a round for this request. The same request once more may have lost its answer, and goes on to find it; another operation, or other
 * answers, would go on twice with what was allowed once.
 * @throws {PlatformError} `request_invalid`, `operation_conflict`, `store_unavailable`
 */
export const useRound = async (
  { now }: Pick<GatewayContext, 'now'>,
  rounds: UsedRoundStore,
  request: ClientRequest,
  round: Round,
): Promise<void> => {
  const operationId = operationOf(request, round);
  const answersDigest = digestOf(canonicalJson(objectAt(request.params, 'inputResponses')));
  const id = round.id ?? digestOf(textOf(request.params.requestState));
  const stands = await rounds.use(id, { operationId, answersDigest }, new Date(round.expiresAt ?? now() + stateLifetimeMs));
  if (stands.operationId !== operationId)
    throw new PlatformError('request_invalid', 'Invalid params: `requestState` was used by another operation; make the request anew.');
  if (stands.answersDigest !== answersDigest)
    throw new PlatformError('operation_conflict', 'The request was gone on with, with other answers; make the request anew.');
};
