import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Endpoint, parseEndpoint } from '../schema/mcp-endpoint.ts';
import { carrierOf } from './auth/carrier-of.ts';
import { answerUnauthenticated, challengeOfRpc, resourceMetadata } from './auth/challenge.ts';
import { recordNotLetIn, recordTurnedAway } from './auth/record-turned-away.ts';
import type { EdgeRequest } from './edge/legacy-edge.ts';
import type { HttpAnswer, HttpRequest } from './front/http-exchange.ts';
import type { RequestHandlers } from './front/open-listener.ts';
import type { GatewayContext } from './gateway-context.ts';
import { createRequestGuard } from './guard-request.ts';
import type { RpcError } from './mcp/message.ts';
import { passThrough } from './pass-through.ts';
import type { Principal } from './principal.ts';

const metadataPrefix = '/.well-known/oauth-protected-resource';
const mostKnownPaths = 1000;

/** Where a path leads; the same object for the same path, so that it is parsed once. */
type Place =
  | { kind: 'mcp'; pathname: string; endpoint: Endpoint; audience: string; challengeOf: NonNullable<EdgeRequest['challengeOf']> }
  | { kind: 'other'; pathname: string }
  | { kind: 'nowhere' };

const answerJson = (response: HttpAnswer, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

const notFound = (response: HttpAnswer, detail: string): void =>
  answerJson(response, 404, { error: 'not_found', error_description: detail });

/**
 * Makes what leads a request to its part of the gateway: `/mcp*` behind authentication, `/v1/*`, the metadata of protected resources,
 * and the plain pass-through to the api.
 * @param options.handleModels - answers what is under `/v1` and says true then
 */
export const createRouter = ({
  context,
  edge,
  handleModels,
}: {
  context: GatewayContext;
  edge: { serve(request: EdgeRequest): void | Promise<void> };
  handleModels: (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;
}): RequestHandlers => {
  const { config, logger } = context;
  const guard = createRequestGuard(config.publicUrl);
  const places = new Map<string, Place>();

  const find = (path: string): Place => {
    // `http://host/path` is a form that proxies send (RFC 9112 §3.2.2)
    const url = path.startsWith('/') ? `${config.publicUrl}${path}` : path;
    if (!URL.canParse(url)) return { kind: 'nowhere' };
    const { pathname } = new URL(url);
    if (pathname !== '/mcp' && !pathname.startsWith('/mcp/')) return { kind: 'other', pathname };
    const endpoint = parseEndpoint(pathname);
    if (!endpoint) return { kind: 'nowhere' };
    const where = { publicUrl: config.publicUrl, path: pathname, scope: 'mcp' };
    const challengeOf = (error: RpcError) => challengeOfRpc(error, where);
    return { kind: 'mcp', pathname, endpoint, audience: `${config.publicUrl}${endpoint.path}`, challengeOf };
  };

  const placeOf = (url: string): Place => {
    const question = url.indexOf('?');
    const path = question === -1 ? url : url.slice(0, question);
    const known = places.get(path);
    if (known) return known;
    const place = find(path);
    if (places.size >= mostKnownPaths) places.clear();
    places.set(path, place);
    return place;
  };

  type McpPlace = Extract<Place, { kind: 'mcp' }>;

  const serveMcp = (
    { pathname, endpoint, challengeOf }: McpPlace,
    principal: Principal,
    request: HttpRequest,
    response: HttpAnswer,
  ): void | Promise<void> => {
    // whoever left meanwhile would not be heard leaving any more: a stream of theirs would stand for ever
    if (response.destroyed) return;
    context.serving(principal, response);
    const isThere =
      endpoint.kind === 'everything' ||
      (endpoint.tenancy.org === principal.org && context.declared().find('Toolset', endpoint.tenancy, endpoint.toolset) !== undefined);
    if (!isThere) {
      recordNotLetIn(context, request, { door: 'mcp', endpoint }, principal, 'not_found');
      return notFound(response, `There is no toolset at ${pathname} that you may use.`);
    }
    return edge.serve({ principal, endpoint, request, response, challengeOf });
  };

  const handleMcp = (place: McpPlace, request: HttpRequest, response: HttpAnswer): void | Promise<void> => {
    const refuse = (error: unknown): void => {
      recordTurnedAway(context, request, { door: 'mcp', endpoint: place.endpoint }, error);
      answerUnauthenticated(response, error, { publicUrl: config.publicUrl, path: place.pathname, scope: 'mcp' });
    };
    let known: Principal | Promise<Principal>;
    try {
      known = context.authenticate(
        request.headers.authorization,
        place.audience,
        carrierOf(request, `${config.publicUrl}${place.pathname}`),
      );
    } catch (error) {
      return refuse(error);
    }
    return known instanceof Promise
      ? known.then((principal) => serveMcp(place, principal, request, response), refuse)
      : serveMcp(place, known, request, response);
  };

  const answerMetadata = (pathname: string, response: ServerResponse): void => {
    const path = pathname.slice(metadataPrefix.length) || '/mcp';
    const scope = path === '/v1' ? 'models' : 'mcp';
    if (path === '/v1' || parseEndpoint(path))
      answerJson(response, 200, resourceMetadata({ resource: `${config.publicUrl}${path}`, issuerUrl: config.issuerUrl, scope }));
    else notFound(response, 'No protected resource has that path.');
  };

  const handleOther = async (pathname: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (await handleModels(request, response)) return;
    if (pathname.startsWith('/api/') || pathname.startsWith('/registry/')) {
      const source = context.sourceOf(request.socket.remoteAddress, request.headers);
      return passThrough(config.apiUrl, request, response, { source, logger });
    }
    if (pathname.startsWith(metadataPrefix)) return answerMetadata(pathname, response);
    notFound(response, 'Tools are at /mcp, models at /v1, the api at /api.');
  };

  const nothing = (response: HttpAnswer): void => notFound(response, 'There is nothing at this path; toolsets are at /mcp/{toolset}.');

  return {
    handle: (request, response) => {
      if (!guard(request, response)) return;
      const place = placeOf(request.url ?? '/');
      if (place.kind === 'mcp') return handleMcp(place, request, response);
      if (place.kind === 'other') return handleOther(place.pathname, request, response);
      nothing(response);
    },
    handleShort: (request, answer) => {
      if (!guard(request, answer)) return;
      const place = placeOf(request.url);
      return place.kind === 'mcp' ? handleMcp(place, request, answer) : nothing(answer);
    },
  };
};
