import { isIP } from 'node:net';
import { Agent, fetch } from 'undici';
import { addressKind } from '../../schema/network-address.ts';
import { ForbiddenAddress, guardedLookup, type Resolve } from '../../store/guarded-lookup.ts';

const answerWithinMs = 2_500;

/**
 * Makes the `fetch` for addresses that come from outside, such as the documents of clients: https alone, no redirects, no credentials,
 * within 2.5 seconds, and never to an address of this network. Names are resolved once and the connection goes to what was checked, so a
 * name that changes its address in between leads nowhere else.
 * @param options.allowsLoopback - lets this machine itself be asked
 * @param options.resolve - looks names up; the system's by default
 * @param options.authorities - certificate authorities (PEM) in place of the public ones
 */
export const createGuardedFetch = ({
  allowsLoopback,
  authorities,
  resolve,
}: {
  allowsLoopback: boolean;
  authorities?: string;
  resolve?: Resolve;
}) => {
  const isAllowed = (address: string): boolean => {
    const kind = addressKind(address);
    return kind === 'public' || (allowsLoopback && kind === 'loopback');
  };
  const dispatcher = new Agent({
    connect: {
      timeout: answerWithinMs,
      ...(authorities === undefined ? {} : { ca: authorities }),
      lookup: guardedLookup({ isAllowed, resolve }),
    },
  });

  return async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (url.protocol !== 'https:' || url.username !== '' || url.password !== '') throw new ForbiddenAddress('only plain https is fetched');
    const host = url.hostname.replace(/^\[|\]$/g, '');
    // an address is connected to without a look-up
    if (isIP(host) !== 0 && !isAllowed(host)) throw new ForbiddenAddress(`${host} is not on the public internet`);
    const response = await fetch(url, {
      method: init.method ?? 'GET',
      headers: Object.fromEntries(new Headers(init.headers)),
      ...(typeof init.body === 'string' || init.body instanceof URLSearchParams ? { body: String(init.body) } : {}),
      redirect: 'manual',
      signal: AbortSignal.timeout(answerWithinMs),
      dispatcher,
    });
    return response as unknown as Response;
  };
};
export type GuardedFetch = ReturnType<typeof createGuardedFetch>;
