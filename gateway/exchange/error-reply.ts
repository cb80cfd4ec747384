import { isPlatformError, type PlatformError, toPlatformError } from '../../schema/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type Reply, type RpcError, rpcCodes } from '../mcp/message.ts';

/** What the specification itself calls invalid parameters. */
const invalidParams = new Set(['prompt_unknown', 'request_invalid', 'resource_unknown', 'tool_unknown']);

/** An error that has its JSON-RPC form already, and is to be answered as it is. */
export class RpcRefusal extends Error {
  readonly error: RpcError;
  constructor(error: RpcError) {
    super(error.message);
    this.name = 'RpcRefusal';
    this.error = error;
  }
}

/** A refusal or failure as JSON-RPC: what is unknown as the specification has it, all others with a code of ours in `data`. */
export const rpcErrorOf = (error: PlatformError): RpcError => ({
  code: invalidParams.has(error.code) ? rpcCodes.invalidParams : rpcCodes.platform,
  message: error.detail,
  data: { code: error.code, retryable: error.isRetryable, ...error.facts },
});

/**
 * Runs a piece of work; whatever it throws becomes a reply, and what nobody foresaw goes to the log.
 * @param inProtocol - puts a refusal into the words of the client's protocol
 */
export const orErrorReply = async (
  logger: Logger,
  work: () => Reply | Promise<Reply>,
  inProtocol?: (error: PlatformError) => unknown,
): Promise<Reply> => {
  try {
    return await work();
  } catch (error) {
    const thrown = inProtocol && isPlatformError(error) ? inProtocol(error) : error;
    if (thrown instanceof RpcRefusal) return { kind: 'error', error: thrown.error };
    if (!isPlatformError(thrown)) logger.error({ err: thrown }, 'a request failed inside');
    return { kind: 'error', error: rpcErrorOf(toPlatformError(thrown)) };
  }
};
