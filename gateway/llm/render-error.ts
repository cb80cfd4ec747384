import type { ServerResponse } from 'node:http';
import type { PlatformError } from '../../schema/errors.ts';
import { challengeFor, isChallenged } from '../auth/challenge.ts';

const typeOf = (status: number): string => {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
};

/** An error as clients of this dialect know it. @see https://platform.openai.com/docs/guides/error-codes */
export const dialectError = (error: PlatformError, decisionId: string | undefined) => ({
  error: {
    message: error.detail,
    type: typeOf(error.status),
    code: error.facts.dialectCode ?? error.code,
    param: null,
    ...(decisionId === undefined ? {} : { decision_id: decisionId }),
    ...(error.facts.reason === undefined ? {} : { reason: error.facts.reason }),
    ...(error.facts.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.facts.retryAfterSeconds }),
  },
});

/**
 * Answers with an error: its status and the dialect's body, or, once a stream has begun, an event that is the last one.
 * @param decisionId - by which the audit knows the call; undefined where the caller is not known
 */
export const answerError = (
  response: ServerResponse,
  error: PlatformError,
  { decisionId, publicUrl, closes }: { decisionId: string | undefined; publicUrl: string; closes: boolean },
): void => {
  const text = JSON.stringify(dialectError(error, decisionId));
  if (response.headersSent) {
    response.end(`data: ${text}\n\n`);
    return;
  }
  const headers: Record<string, string | number> = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    // clients of this dialect try every 429 and 5xx again unless they are told
    'x-should-retry': String(error.isRetryable),
  };
  if (isChallenged(error)) headers['www-authenticate'] = challengeFor(error, { publicUrl, path: '/v1', scope: 'models' });
  if (error.isRetryable) headers['retry-after'] = Number(error.facts.retryAfterSeconds ?? 2);
  if (decisionId !== undefined) headers['x-quarterdeck-decision'] = decisionId;
  if (closes) headers.connection = 'close';
  response.writeHead(error.status, headers).end(text);
};
