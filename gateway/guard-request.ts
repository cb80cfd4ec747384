import type { IncomingMessage, ServerResponse } from 'node:http';

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]']);

const hostOf = (text: string): string | undefined => (URL.canParse(text) ? new URL(text).host : undefined);

/**
 * Refuses a request that a foreign page could have made, before its body is read: Host must be ours (DNS rebinding), and so must
 * Origin where there is one. Answers 403 and returns false then.
 */
export const guardRequest = (request: IncomingMessage, response: ServerResponse, publicUrl: string): boolean => {
  const { host: publicHost, port } = new URL(publicUrl);
  const isOurs = (host: string | undefined): boolean => {
    if (host === undefined) return false;
    const url = URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : undefined;
    return host === publicHost || (url !== undefined && loopbackNames.has(url.hostname) && url.port === port);
  };
  const { origin, host } = request.headers;
  if (isOurs(host) && (origin === undefined || isOurs(hostOf(origin)))) return true;
  response
    .writeHead(403, { 'content-type': 'application/json', connection: 'close' })
    .end(JSON.stringify({ error: 'forbidden', error_description: 'The Host or Origin of the request is not an address of this gateway.' }));
  return false;
};
