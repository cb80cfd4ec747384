import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { CredentialRequestSchema, credentialsPath } from '../../schema/backend-credential.ts';
import { PlatformError, problemDetails, toPlatformError } from '../../schema/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { IssueCredential } from './issue-credential.ts';
import type { Middleware } from './middleware.ts';

const mostBytes = 16_384;

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();

const readBody = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > mostBytes) throw new PlatformError('request_too_large', 'A request for a credential is small.');
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new PlatformError('request_invalid', 'The request is no JSON.', { cause });
  }
};

/**
 * Answers the gateway's requests for credentials of MCP servers. Whoever has not the gateway's key is told nothing.
 * @param gatewayKey - of the process that asks
 */
export const credentialRoutes = ({
  gatewayKey,
  issue,
  logger,
}: {
  gatewayKey: string;
  issue: IssueCredential;
  logger: Logger;
}): Middleware => {
  const expected = digestOf(`Bearer ${gatewayKey}`);

  return async (context, next) => {
    if (context.path !== credentialsPath) return next();
    context.set('cache-control', 'no-store');
    try {
      if (context.method !== 'POST') throw new PlatformError('not_found', 'There is nothing at this path.');
      if (!timingSafeEqual(digestOf(context.get('authorization')), expected))
        throw new PlatformError('not_authenticated', 'Only the gateway asks for credentials.');
      const read = CredentialRequestSchema.safeParse(await readBody(context.req));
      if (!read.success) throw new PlatformError('request_invalid', 'The request is not one for a credential.');
      context.body = await issue(read.data);
      const { org, project, server, principal } = read.data;
      logger.debug({ event: 'credential-issued', org, project, server, principal }, 'a credential was issued');
    } catch (thrown) {
      const error = toPlatformError(thrown);
      const { code, detail } = error;
      logger[code === 'internal' ? 'error' : 'info'](
        { event: 'credential-refused', code, detail, ...(code === 'internal' ? { err: thrown } : {}) },
        'no credential',
      );
      context.status = error.status;
      context.body = problemDetails(error, 'credentials');
    }
  };
};
