import { PlatformError } from '../../schema/errors.ts';
import type { Era } from '../../schema/mcp-revisions.ts';
import { loginWanted } from '../auth/login-wanted.ts';
import type { Decision } from '../decide.ts';
import { RpcRefusal } from '../exchange/error-reply.ts';
import { rpcCodes } from '../mcp/message.ts';

const longestName = 256;
const longestUri = 8192;
/** Until 2025-11-25 a resource that is not there had a code of its own. */
const legacyResourceNotFound = -32002;

export const resourceNotFoundCode = (era: Era): number => (era === 'legacy' ? legacyResourceNotFound : rpcCodes.invalidParams);

/** The refusal of a prompt that the caller cannot use: the same whether it exists or not; the id finds the decision in the audit. */
export const unknownPrompt = (name: string, { decisionId }: Decision): PlatformError =>
  new PlatformError('prompt_unknown', `Unknown prompt: ${name.slice(0, longestName)}`, { facts: { decisionId } });

/** The same for a resource. The URI is said back, as the specification wants it, unless it is none. */
export const unknownResource = (uri: string, { decisionId }: Decision): PlatformError =>
  new PlatformError('resource_unknown', `Resource not found: ${uri.slice(0, longestName)}`, {
    facts: { uri: uri.slice(0, longestUri).toWellFormed(), decisionId },
  });

/**
 * The refusal of a use for its arguments, or for the moment: it names the rule and what to do.
 * @param because - a sentence that says what of the moment it is
 */
export const argumentRefused = (name: string, { decisionId, policies, advice, wantedLogin }: Decision, because = ''): PlatformError => {
  const rule = policies.length > 0 ? policies.join(', ') : 'no policy permits it';
  if (wantedLogin) return loginWanted(name.slice(0, longestName), wantedLogin, { decisionId, rule });
  const whatToDo =
    advice.length > 0 ? advice.join(' ') : 'Ask the owner of the project for a policy that permits it, or use other arguments.';
  return new PlatformError(
    'argument_refused',
    `${name.slice(0, longestName)}: refused by ${rule}. ${whatToDo}${because === '' ? '' : ` ${because}`}`,
    {
      facts: { decisionId, rule },
    },
  );
};

/** What is unknown has a code of the protocol's own; everything else is rendered as it is. */
export const inProtocol = (error: PlatformError, era: Era): PlatformError | RpcRefusal => {
  const code =
    error.code === 'resource_unknown' ? resourceNotFoundCode(era) : error.code === 'prompt_unknown' ? rpcCodes.invalidParams : undefined;
  return code === undefined
    ? error
    : new RpcRefusal({ code, message: error.detail, data: { code: error.code, retryable: error.isRetryable, ...error.facts } });
};
