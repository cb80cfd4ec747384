import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

/** As `lookup` of `node:dns` with all addresses. */
export type Resolve = (
  host: string,
  options: LookupOptions & { all: true },
  answer: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** A host that may not be asked. */
export class ForbiddenAddress extends Error {}

/**
 * A look-up for connections to addresses that come from outside. The connection goes to what was checked, so a name that changes its address
 * in between leads nowhere else.
 * @param options.isAllowed - judges each address of a name
 * @param options.resolve - looks names up; the system's by default
 */
export const guardedLookup =
  ({
    isAllowed,
    resolve = lookup as Resolve,
  }: {
    isAllowed: (address: string) => boolean;
    resolve?: Resolve | undefined;
  }): LookupFunction =>
  (host, options, answer) =>
    resolve(host, { ...options, all: true }, (error, addresses) => {
      if (error) return answer(error, '', 0);
      const [first] = addresses;
      // one forbidden address among several is enough: the socket would try them in turn
      if (first === undefined || !addresses.every(({ address }) => isAllowed(address)))
        return answer(new ForbiddenAddress(`${host} is not on the public internet`), '', 0);
      return options.all ? answer(null, addresses) : answer(null, first.address, first.family);
    });
