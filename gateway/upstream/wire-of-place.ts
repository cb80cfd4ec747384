import type { Era } from '../../schema/mcp-revisions.ts';
import type { Way } from './greet-server.ts';
import type { HostClient } from './host-client.ts';
import type { HttpSender } from './http-sender.ts';
import type { Place } from './place.ts';
import type { Wire } from './wire.ts';

/** How a place is reached: through our host, or at the address that the resource says. */
export const wireOf = (
  { server: { metadata, spec } }: Place,
  host: HostClient,
  instanceId: string | undefined,
  sender: HttpSender,
): Wire => {
  if (instanceId !== undefined)
    return {
      name: metadata.name,
      url: new URL(host.mcpUrl(instanceId)),
      sender,
      headers: Object.entries(host.headers).flat(),
      isOurHost: true,
    };
  const url = 'url' in spec ? spec.url : '';
  return { name: `${metadata.name} at ${url}`, url: new URL(url), sender, headers: [], isOurHost: false };
};

/** What need not be found out: our host says it of its processes, the resource may say it of others. */
export const wayKnown = ({ server: { spec } }: Place, era: Era | undefined): Way | undefined => {
  if ('url' in spec) return spec.transport === 'sse' ? 'event-stream' : undefined;
  return era === 'legacy' ? 'legacy' : undefined;
};
