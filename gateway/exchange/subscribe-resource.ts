import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { callerOf, runOf } from '../surface/caller-of.ts';
import type { Located, ResourceDirectory } from '../surface/resource-directory.ts';
import type { ResourceHub } from './resource-hub.ts';

type Subscriber = Omit<ClientRequest, 'notify' | 'ask'>;
export type Subscription = { kind: 'taken'; stop: () => void } | { kind: 'not-taken' } | { kind: 'unknown'; decisionId: string };

/** A URI of the server's in the caller's spelling: where the subscribed one is mapped, so is a part of it. */
const asExposed = (exposed: string, own: string, changed: string): string =>
  exposed.endsWith(own) ? `${exposed.slice(0, exposed.length - own.length)}${changed}` : exposed;

/**
 * Subscribes a caller to a resource that it may read. Whether it still may is looked at again whenever something was declared since.
 * @param onUpdate - told the URI as the caller knows it
 */
export const subscribeResource = async (
  {
    gateway,
    hub,
    directory,
  }: { gateway: Pick<GatewayContext, 'declared' | 'logger'>; hub: ResourceHub; directory: Pick<ResourceDirectory, 'locate'> },
  from: Subscriber,
  exposed: string,
  onUpdate: (uri: string) => void,
): Promise<Subscription> => {
  let declared = gateway.declared();
  const found = await directory.locate(from, exposed);
  if (!found.source) return { kind: 'unknown', decisionId: found.decision.decisionId };
  const { source, uri }: Located = found;

  const mayStill = async (): Promise<boolean> => {
    const present = gateway.declared();
    if (present === declared) return true;
    const again = await directory.locate(from, exposed);
    const isSame = again.source !== undefined && again.source.server.uid === source.server.uid && again.uri === uri;
    if (isSame) declared = present;
    return isSame;
  };
  const told = (changed: string): void => {
    const tell = (): void => onUpdate(asExposed(exposed, uri, changed));
    if (gateway.declared() === declared) tell();
    else
      mayStill().then(
        (may) => may && tell(),
        (error: unknown) => gateway.logger.warn({ err: error }, 'a change of a resource could not be told'),
      );
  };
  const stop = await hub.subscribe(source.server, runOf(from.principal), uri, told, callerOf(from));
  return stop ? { kind: 'taken', stop } : { kind: 'not-taken' };
};
