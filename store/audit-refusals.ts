import type { NewAuditEvent } from '../schema/audit-event.ts';
import { defaultTenancy } from '../schema/ids.ts';

const minuteMs = 60_000;
/** Sources told apart in one minute; more are counted together. */
const mostSources = 1000;
const otherSources = 'others';

/** One refusal of a caller that nobody knows. */
export type UnknownCaller = {
  /** The address that the connection comes from; what a header says of it is the caller's own invention. */
  source: string | undefined;
  /** What was asked for: `mcp`, `models`, `api` or `issuer`. */
  door: string;
  /** Code of the refusal. */
  code: string;
  /** What is remarkable about it, such as `actor-chain`; counted apart from the others. */
  flag?: string | undefined;
};

/**
 * Counts refusals of unknown callers by source and minute: each minute of each source is one row, however many refusals there were, so
 * that nobody can fill the audit without being known. The rows are of the org and project `default`.
 * @param options.write - adds rows; what it throws is lost, as a refusal has no effect
 * @returns `count`, and `close`, which writes the minute that has begun
 */
export const createRefusalCounter = ({
  write,
  newDecisionId,
  now = Date.now,
}: {
  write: (events: NewAuditEvent[]) => void | Promise<void>;
  newDecisionId: () => string;
  now?: () => number;
}) => {
  const counts = new Map<string, UnknownCaller & { minute: number; count: number }>();
  let timer: NodeJS.Timeout | undefined;

  const flush = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const events = [...counts.values()].map(
      ({ source = otherSources, door, code, flag, minute, count }): NewAuditEvent => ({
        ...defaultTenancy,
        kind: 'refusal',
        action: 'authenticate',
        decision: 'deny',
        decisionId: newDecisionId(),
        outcome: 'refused',
        errorCode: code,
        facts: { count, door, ...(flag === undefined ? {} : { flag }), minute: new Date(minute).toISOString(), source },
      }),
    );
    counts.clear();
    if (events.length > 0) await write(events);
  };
  const quietly = (): void => void flush().catch(() => undefined);

  return {
    count: ({ source, door, code, flag }: UnknownCaller): void => {
      const minute = now() - (now() % minuteMs);
      const keyOf = (of: string) => `${minute} ${door} ${code} ${flag ?? ''} ${of}`;
      const isKnown = source !== undefined && (counts.has(keyOf(source)) || counts.size < mostSources);
      const counted = isKnown ? source : otherSources;
      const found = counts.get(keyOf(counted));
      if (found) found.count += 1;
      else counts.set(keyOf(counted), { source: counted, door, code, flag, minute, count: 1 });
      if (timer) return;
      timer = setTimeout(quietly, minute + minuteMs - now());
      timer.unref();
    },
    close: (): Promise<void> => flush().catch(() => undefined),
  };
};
export type RefusalCounter = ReturnType<typeof createRefusalCounter>;
