import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { proofAlgorithms } from '../../policy/check-token-proof.ts';
import { freshLoginSeconds } from '../../policy/platform-policies.ts';
import { type PlatformError, problemDetails, toPlatformError } from '../../schema/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ApiEnvironment } from './api-dependencies.ts';
import { describeCause } from './describe-cause.ts';
import type { DocumentIssue } from './document-issue.ts';

/** Renders problem details (RFC 9457); `issues` are an extension member of a refused apply. */
export const renderProblem = (context: Context<ApiEnvironment>, error: PlatformError, issues?: DocumentIssue[]): Response => {
  const problem = { ...problemDetails(error, context.get('requestId')), ...(issues && { issues }) };
  // RFC 9110 §10.2.3: whoever may try again is told when
  if (error.isRetryable) context.header('retry-after', String(error.facts.retryAfterSeconds ?? 2));
  return context.body(JSON.stringify(problem), error.status as ContentfulStatusCode, { 'content-type': 'application/problem+json' });
};

/** What a caller without a good token is told (RFC 6750 §3, RFC 9728 §5.1); undefined where the token is not what is wrong. */
const challengeFor = ({ code, facts }: PlatformError, publicUrl: string): string | undefined => {
  const metadata = `resource_metadata="${publicUrl}/.well-known/oauth-protected-resource/api"`;
  const where = `${metadata}, scope="api"`;
  if (code === 'not_authenticated') return `Bearer realm="quarterdeck", ${where}`;
  if (code === 'token_refused') return `Bearer realm="quarterdeck", error="invalid_token", ${where}`;
  if (code === 'proof_refused') return `DPoP algs="${proofAlgorithms.join(' ')}", error="invalid_dpop_proof", ${where}`;
  // RFC 9470 §3; both parameters are OpenID Connect's, and issuers take them with its scope alone
  if (code === 'login_stale')
    return `Bearer realm="quarterdeck", error="insufficient_user_authentication", max_age="${freshLoginSeconds}", ${facts.acr ? `acr_values="${facts.acr}", ` : ''}${metadata}, scope="openid api"`;
  return code === 'scope_insufficient' ? `Bearer realm="quarterdeck", error="insufficient_scope", ${where}` : undefined;
};

/** Renders whatever was thrown, once; causes go to the log alone. */
export const createErrorRenderer =
  (logger: Logger, publicUrl: string) =>
  (thrown: unknown, context: Context<ApiEnvironment>): Response => {
    const error = toPlatformError(thrown);
    const facts = { requestId: context.get('requestId'), code: error.code, method: context.req.method, route: context.req.path };
    if (error.status >= 500) logger.error({ ...facts, cause: describeCause(error.cause ?? error) }, 'request failed');
    else logger.info(facts, 'request refused');
    const challenge = challengeFor(error, publicUrl);
    if (challenge) context.header('www-authenticate', challenge);
    return renderProblem(context, error);
  };
