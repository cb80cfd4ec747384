import { type DiscoveredServer, hostMeta } from '../stdio/discover-server.ts';
import { objectAt } from '../stdio/json-rpc.ts';
import type { Multiplexer } from '../stdio/multiplexer.ts';
import { hostScope } from '../stdio/pending-requests.ts';

const kinds = ['tools', 'prompts', 'resources'] as const;

/**
 * Hears of a modern server, which says so to those alone who listen, that its lists changed: callers that know older ones must not meet the new.
 * Ends with the process; a server that ends the subscription by itself is not asked again.
 */
export const listenForListChanges = (multiplexer: Multiplexer, server: DiscoveredServer, onListChange: () => void): void => {
  const wanted = kinds.filter((kind) => objectAt(server.capabilities, kind).listChanged === true);
  if (wanted.length === 0) return;
  const notifications = Object.fromEntries(wanted.map((kind) => [`${kind}ListChanged`, true]));
  const params = { _meta: hostMeta(server.protocolVersion), notifications };
  const hear = ({ method }: { method: string }): boolean => {
    if (method.endsWith('/list_changed')) onListChange();
    return true;
  };
  multiplexer
    .call({ jsonrpc: '2.0', id: 'lists', method: 'subscriptions/listen', params }, { scope: hostScope, hear })
    .catch(() => undefined); // the process is gone
};
