import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { type PlatformError, problemDetails, toPlatformError } from '../../schema/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ApiEnvironment } from './api-dependencies.ts';
import { describeCause } from './describe-cause.ts';

/** One thing wrong in a document of an apply: which one (from 0), the keys to the place, and what is expected there. */
export type DocumentIssue = { document: number; path: (string | number)[]; message: string };

/** Renders problem details (RFC 9457); `issues` are an extension member of a refused apply. */
export const renderProblem = (context: Context<ApiEnvironment>, error: PlatformError, issues?: DocumentIssue[]): Response => {
  if (error.code === 'not_authenticated' || error.code === 'token_refused')
    context.header('www-authenticate', 'Bearer realm="quarterdeck"');
  const problem = { ...problemDetails(error, context.get('requestId')), ...(issues && { issues }) };
  return context.body(JSON.stringify(problem), error.status as ContentfulStatusCode, { 'content-type': 'application/problem+json' });
};

/** Renders whatever was thrown, once; causes go to the log alone. */
export const createErrorRenderer =
  (logger: Logger) =>
  (thrown: unknown, context: Context<ApiEnvironment>): Response => {
    const error = toPlatformError(thrown);
    const facts = { requestId: context.get('requestId'), code: error.code, method: context.req.method, route: context.req.path };
    if (error.status >= 500) logger.error({ ...facts, cause: describeCause(error.cause ?? error) }, 'request failed');
    else logger.info(facts, 'request refused');
    return renderProblem(context, error);
  };
