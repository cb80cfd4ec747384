import type { HttpAnswer, HttpRequest } from './front/http-exchange.ts';

const loopbackNames = ['localhost', '127.0.0.1', '[::1]'];

/**
 * Makes what refuses a request that a foreign page could have made, before its body is read: Host must be ours (DNS rebinding), and so
 * must Origin where there is one.
 * @returns a function that answers 403 and says false for such a request
 */
export const createRequestGuard = (publicUrl: string): ((request: HttpRequest, response: HttpAnswer) => boolean) => {
  const { host: publicHost, port } = new URL(publicUrl);
  const hosts = new Set([publicHost, ...loopbackNames.map((name) => (port === '' ? name : `${name}:${port}`))]);
  const isOurs = (host: string): boolean => hosts.has(host) || hosts.has(host.toLowerCase());

  return ({ headers: { host, origin } }, response) => {
    const isOwnHost = host !== undefined && isOurs(host);
    if (isOwnHost && (origin === undefined || (URL.canParse(origin) && isOurs(new URL(origin).host)))) return true;
    response
      .writeHead(403, { 'content-type': 'application/json', connection: 'close' })
      .end(
        JSON.stringify({ error: 'forbidden', error_description: 'The Host or Origin of the request is not an address of this gateway.' }),
      );
    return false;
  };
};
