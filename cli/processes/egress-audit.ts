import type { Attempt, EgressRecorder } from '../../runtime/egress/egress-parts.ts';
import type { RefusalReason } from '../../runtime/egress/refusal.ts';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import type { Logger } from '../../telemetry/logger.ts';

const minuteMs = 60_000;
/** Places of one minute that are counted apart; a server that tries more of them is counted as a whole. */
const mostPlaces = 500;
const manyPlaces = 'others';

type Count = { attempt: Attempt; reason: RefusalReason; count: number };

const rowOf = ({ decisionId, server: { org, project, server }, host, port, kind }: Attempt) => ({
  ...{ org, project, server, decisionId },
  action: 'connect',
  facts: { host, port, kind },
});

const refusalRow = ({ attempt, reason, count }: Count): NewAuditEvent => {
  const row = rowOf(attempt);
  const facts = { ...row.facts, count };
  return { ...row, kind: 'refusal', decision: 'deny', outcome: 'refused', errorCode: reason, facts };
};

/**
 * Puts connections of caged servers into the audit: an intent before a host is connected to, an outcome with its bytes after it. The first
 * refusal of a place is written at once and more of the same in a minute as one row, or a server could fill the audit by itself.
 * @param options.append - adds rows; resolves when they are committed
 */
export const createEgressRecorder = ({
  append,
  logger,
}: {
  append(events: NewAuditEvent[]): Promise<void>;
  logger: Logger;
}): EgressRecorder & { close(): Promise<void> } => {
  const counts = new Map<string, Count>();
  let timer: NodeJS.Timeout | undefined;
  const writing = new Set<Promise<void>>();

  const write = (events: NewAuditEvent[]): void => {
    const written = append(events).catch((error: unknown) => {
      // what it says is not lost altogether
      for (const { server, outcome, errorCode, facts } of events)
        logger.error({ event: 'egress-unrecorded', server, outcome, errorCode, facts, err: error }, 'a connection is not in the audit');
    });
    writing.add(written);
    void written.finally(() => writing.delete(written));
  };
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const again = [...counts.values()].filter(({ count }) => count > 0);
    counts.clear();
    if (again.length > 0) write(again.map(refusalRow));
  };

  return {
    opening: (attempt) => append([{ ...rowOf(attempt), kind: 'intent', decision: 'allow', outcome: 'pending' }]),
    refused: (given, reason) => {
      const attempt = counts.size < mostPlaces ? given : { ...given, host: manyPlaces, port: 0 };
      const { org, project, server } = attempt.server;
      const key = JSON.stringify([org, project, server, attempt.host, attempt.port, reason]);
      const known = counts.get(key);
      logger.warn({ event: 'egress-refused', server, host: attempt.host, port: attempt.port, reason }, 'a connection was refused');
      timer ??= setTimeout(flush, minuteMs).unref();
      counts.set(key, { attempt, reason, count: known ? known.count + 1 : 0 });
      if (!known) write([refusalRow({ attempt, reason, count: 1 })]);
    },
    closed: (attempt, { durationMs, reason, secrets, ...carried }) => {
      const row = rowOf(attempt);
      const facts = { ...row.facts, ...carried, secrets: [...secrets] };
      const outcome = reason === undefined ? ('ok' as const) : ('refused' as const);
      logger.info({ event: 'egress-closed', server: attempt.server.server, ...facts, reason }, 'a connection has ended');
      write([{ ...row, kind: 'outcome', decision: 'allow', outcome, errorCode: reason ?? null, durationMs, facts }]);
    },
    close: async () => {
      flush();
      await Promise.all(writing);
    },
  };
};
