import { randomBytes } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { PlatformError } from '../../schema/errors.ts';
import type { ApiConfig, ApiEnvironment } from './api-dependencies.ts';

/** The names by which a browser or a client may know a loopback origin. */
const ownHosts = (url: string): string[] => {
  const { host, port, hostname } = new URL(url);
  const isLoopback = ['127.0.0.1', 'localhost', '[::1]'].includes(hostname);
  return isLoopback && port ? [host, `127.0.0.1:${port}`, `localhost:${port}`] : [host];
};

/** Gives each request an id, which its answer, its problem details and the log share. */
export const nameRequest: MiddlewareHandler<ApiEnvironment> = async (context, next) => {
  const requestId = `req_${randomBytes(9).toString('base64url')}`;
  context.set('requestId', requestId);
  context.header('x-request-id', requestId);
  context.header('cache-control', 'no-store');
  await next();
};

/**
 * Lets requests through that are meant for this api: its own Host (a rebound name reaches the loopback too) and no foreign Origin
 * (pages of other sites reach it from a browser). Both are judged before the body is read, and no CORS header is ever sent.
 */
export const guardRequests = ({ publicUrl, gatewayUrl }: ApiConfig): MiddlewareHandler<ApiEnvironment> => {
  const hosts = new Set([...ownHosts(publicUrl), ...ownHosts(gatewayUrl)]);
  const origins = new Set([...hosts].map((host) => `${new URL(publicUrl).protocol}//${host}`));
  return async (context, next) => {
    const host = context.req.header('host')?.toLowerCase();
    if (host === undefined || !hosts.has(host))
      throw new PlatformError('not_permitted', `This api is not served under the host name of the request; use ${publicUrl}.`);
    const origin = context.req.header('origin');
    if (origin !== undefined && !origins.has(origin))
      throw new PlatformError('not_permitted', 'Requests from pages of other sites are not served.');
    await next();
  };
};
