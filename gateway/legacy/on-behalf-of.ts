import type { ClientRequest } from '../mcp/client-request.ts';
import type { Session } from './session.ts';

type Holder = Pick<ClientRequest, 'principal' | 'endpoint'> & { session: Session };

/** What the surface is told of a session where no request of its client is under way. */
export const onBehalfOf = ({ principal, endpoint, session }: Holder) => ({
  principal,
  endpoint,
  session,
  client: session.client,
  parameterHeaders: {},
  logLevel: session.logLevel,
  signal: new AbortController().signal,
});
