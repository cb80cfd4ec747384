import type { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { RateHold } from '../../schema/rate-hold.ts';
import type { StoredResource } from '../../schema/resource.ts';
import type { Declared } from '../../store/declared.ts';
import { declaredFrom } from '../../store/declared.ts';
import type { RatePlaces } from '../../store/rate-places.ts';
import type { TakeRate } from '../../store/rate-windows.ts';
import { type Principal, principalName } from '../principal.ts';
import { createPlaceCounter, tooMany } from './place-counter.ts';
import { createRateCounter } from './rate-counter.ts';
import { type CompiledRate, type HeldRates, heldRates, type RateTable, subjectOf, tableOfRates } from './rate-table.ts';

type Counted = StoredResource<'McpServer'> | StoredResource<'Model'>;

export type Rates = {
  /** Whether anything is limited at all: otherwise a call does not come here. */
  readonly isEmpty: boolean;
  /**
   * Runs a call within the rates of its project, server or model, and role.
   * @param tool - by the server's own name; undefined for what is no tool
   * @throws {PlatformError} `rate_exhausted`, `calls_exhausted`, `store_unavailable`, each with `retryAfterSeconds`
   */
  within<Result>(principal: Principal, resource: Counted, tool: string | undefined, work: () => Promise<Result>): Promise<Result>;
  /** Takes a place for a standing stream; `leave` gives it back. */
  openStream(principal: Principal, tenancy: Tenancy): { ok: true; leave(): void } | { ok: false; refusal: PlatformError };
};

const free = { ok: true as const, leave: (): void => undefined };

/** Keeps what is declared of rates, and counts by it: calls over all gateways together, streams at this one alone. */
export const keepRates = ({
  take,
  places,
  instance,
}: {
  take: TakeRate;
  places: RatePlaces;
  /** This start of this gateway. */
  instance: string;
}): Rates & { take(declared: Declared): void; hold(holds: readonly RateHold[]): void; close(): Promise<void> } => {
  let table: RateTable = tableOfRates(declaredFrom([], []));
  let held: HeldRates = heldRates([]);
  const spend = createRateCounter({ take });
  const underWay = createPlaceCounter({ places, gateway: instance });
  const streams = new Map<string, number>();

  const enter = (key: string, most: number): boolean => {
    const count = streams.get(key) ?? 0;
    if (count >= most) return false;
    streams.set(key, count + 1);
    return true;
  };
  const leave = (key: string): void => {
    const left = (streams.get(key) ?? 1) - 1;
    if (left > 0) streams.set(key, left);
    else streams.delete(key);
  };

  const ratesFor = (principal: Principal, resource: Counted): readonly CompiledRate[] => {
    const declared = table.find(principal, resource) ?? [];
    return held.isEmpty || resource.kind !== 'McpServer' ? declared : [...declared, ...held.find(principal, resource)];
  };

  return {
    get isEmpty() {
      return table.isEmpty && held.isEmpty;
    },
    take: (declared) => {
      table = tableOfRates(declared);
    },
    hold: (holds) => {
      held = heldRates(holds);
    },
    within: async (principal, resource, tool, work) => {
      const entered: string[] = [];
      try {
        for (const rate of ratesFor(principal, resource)) {
          const subject = subjectOf(rate, principal);
          if (subject === undefined || (rate.tools && (tool === undefined || !rate.tools.has(tool)))) continue;
          if (rate.atOnce !== undefined) {
            const key = `${rate.key} ${subject}`;
            const asked = underWay.enter({ ...rate, atOnce: rate.atOnce }, key);
            if (asked) await asked;
            entered.push(key);
          }
          const asked = spend(rate, subject);
          if (asked) await asked;
        }
        return await work();
      } finally {
        for (const key of entered) underWay.leave(key);
      }
    },
    openStream: (principal, { org, project }) => {
      const entered: string[] = [];
      for (const rate of table.streams(org, project)) {
        const subject = rate.each === 'all' ? '' : (subjectOf(rate, principal) ?? principalName(principal));
        const key = `${rate.key} ${subject}`;
        if (rate.atOnce === undefined) continue;
        if (!enter(key, rate.atOnce)) {
          for (const each of entered) leave(each);
          return { ok: false, refusal: tooMany(rate, 'streams') };
        }
        entered.push(key);
      }
      return entered.length === 0 ? free : { ok: true, leave: () => entered.splice(0).forEach(leave) };
    },
    close: () => underWay.close(),
  };
};
