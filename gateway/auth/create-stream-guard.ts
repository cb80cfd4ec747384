import { isPlatformError, type PlatformError } from '../../schema/errors.ts';
import type { EdgeRequest } from '../edge/legacy-edge.ts';
import type { HttpAnswer } from '../front/http-exchange.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { haltableOf } from '../limits/follow-halts.ts';
import type { Principal } from '../principal.ts';
import { principalKey } from '../surface/principal-key.ts';
import { tenancyOf } from '../surface/record-listing.ts';

/** With the two seconds that a token is believed, a stream outlives the right to hear it by 12 s at most. */
const usualCheckMs = 10_000;
/** So many are asked about at a time. */
const atOnce = 50;

/**
 * Watches over a stream that stands until somebody ends it; `end` is called when its caller may hear it no longer.
 * @returns why it may not stand at all; it was ended then
 */
export type WatchStream = (from: EdgeRequest, end: () => void) => PlatformError | undefined;

/**
 * Authenticates the callers of open streams again and again, as if they asked anew. A stream ends when its token is refused or has expired,
 * when the run it is for has ended, when it is halted (at once), and when it is somebody else's rights by now: whoever still has some opens another.
 * A stream that is one too many for a rate of the project ends at once.
 * @param options.checkMs - how often
 */
export const createStreamGuard = ({
  context: { authenticate, config, logger, halts, rates },
  checkMs = usualCheckMs,
}: {
  context: Pick<GatewayContext, 'authenticate' | 'logger' | 'halts' | 'rates'> & { config: Pick<GatewayContext['config'], 'publicUrl'> };
  checkMs?: number | undefined;
}) => {
  type Watched = { from: EdgeRequest; end: () => void };
  const watched = new Set<Watched>();
  let checking: Promise<void> | undefined;

  const mayHear = async ({ principal, endpoint, request }: EdgeRequest): Promise<boolean> => {
    try {
      const present = await authenticate(request.headers.authorization, `${config.publicUrl}${endpoint.path}`, 'standing');
      return present === principal || principalKey(present) === principalKey(principal);
    } catch (error) {
      if (isPlatformError(error) && !error.isRetryable) return false;
      // who could say so does not answer at the moment, and has taken nothing back
      logger.warn({ err: error }, 'the caller of an open stream could not be authenticated again; trying again');
      return true;
    }
  };
  const checkAll = async (): Promise<void> => {
    const all = [...watched];
    for (let at = 0; at < all.length; at += atOnce)
      await Promise.all(
        all.slice(at, at + atOnce).map(async (each) => {
          if (!watched.has(each) || (await mayHear(each.from))) return;
          watched.delete(each);
          each.end();
        }),
      );
  };
  const check = (): Promise<void> => {
    checking ??= checkAll().finally(() => {
      checking = undefined;
    });
    return checking;
  };
  const haltOf = ({ principal, endpoint }: EdgeRequest): PlatformError | undefined =>
    halts.find(haltableOf(principal, tenancyOf({ principal, endpoint })));
  const stopHearing = halts.onChange(() => {
    for (const each of [...watched])
      if (haltOf(each.from)) {
        watched.delete(each);
        each.end();
      }
  });
  const timer = setInterval(() => void check(), checkMs).unref();

  const watch: WatchStream = (from, end) => {
    if (from.response.destroyed) return undefined;
    const place = rates.openStream(from.principal, tenancyOf(from));
    const refusal = haltOf(from) ?? (place.ok ? undefined : place.refusal);
    if (refusal) {
      if (place.ok) place.leave();
      end();
      return refusal;
    }
    const entry = { from, end };
    watched.add(entry);
    from.response.once('close', () => {
      watched.delete(entry);
      if (place.ok) place.leave();
    });
    return undefined;
  };

  return {
    watch,
    /** Ends the streams of whoever matches. @returns the answers that are ending */
    endFor: (matches: (principal: Principal) => boolean): Set<HttpAnswer> => {
      const ending = [...watched].filter(({ from }) => matches(from.principal));
      for (const each of ending) {
        watched.delete(each);
        each.end();
      }
      return new Set(ending.map(({ from }) => from.response));
    },
    /** What the clock does: resolves when every stream was looked at. */
    check,
    get size() {
      return watched.size;
    },
    close: async (): Promise<void> => {
      clearInterval(timer);
      stopHearing();
      await checking;
    },
  };
};
