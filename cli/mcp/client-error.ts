import { ProtocolError, SdkError, SdkErrorCode, SdkHttpError, UnauthorizedError } from '@modelcontextprotocol/client';
import { isObject, rpcCodes } from '../../gateway/mcp/message.ts';
import { noPlatform } from '../client/find-platform.ts';
import { CliError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { exitCodeOf } from '../output/render-error.ts';

const plain = (message: string): string => message.replace(/^MCP error -?\d+: /, '');

const nextOf = (rpcCode: number, code: string): string | undefined => {
  if (code === 'not_permitted') return 'ask who may change the policies; `quarterdeck audit query --decision deny` shows the refusal';
  return rpcCode === rpcCodes.invalidParams ? 'quarterdeck mcp ls' : undefined;
};

/** Why a client of the gateway failed, as a command tells it. @param place - where the platform was looked for */
export const clientError = (thrown: unknown, place: string): CliError => {
  if (thrown instanceof CliError) return thrown;
  if (ProtocolError.isInstance(thrown)) {
    const code = isObject(thrown.data) && typeof thrown.data.code === 'string' ? thrown.data.code : 'request_invalid';
    return new CliError(plain(thrown.message), { code, exitCode: exitCodeOf(code), next: nextOf(thrown.code, code) });
  }
  const isRefused = SdkHttpError.isInstance(thrown) && [401, 403, 404].includes(thrown.status);
  if (UnauthorizedError.isInstance(thrown) || (isRefused && thrown.status === 401))
    return new CliError('The platform does not accept the token', {
      code: 'token_refused',
      next: 'log in again with `quarterdeck login`, or set QUARTERDECK_TOKEN to yours',
    });
  if (isRefused) return new CliError('There is no such toolset, or not for you', { code: 'not_found', next: 'quarterdeck get toolsets' });
  if (SdkError.isInstance(thrown) && thrown.code === SdkErrorCode.RequestTimeout)
    return new CliError('There was no answer in time', {
      code: 'timeout',
      exitCode: exitCodes.timeout,
      next: 'wait longer with --timeout',
    });
  if (thrown instanceof TypeError && thrown.cause !== undefined) return noPlatform(place);
  return new CliError(plain((thrown as Error).message ?? String(thrown)), { code: 'internal', cause: thrown });
};
