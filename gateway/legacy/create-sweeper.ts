import type { McpAnswerStore } from '../../store/mcp-answers.ts';
import type { McpBus } from '../../store/mcp-bus.ts';
import type { McpSessionStore } from '../../store/mcp-sessions.ts';
import type { McpStreamStore } from '../../store/mcp-streams.ts';
import type { McpSweepStore } from '../../store/mcp-sweep.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { renderLost } from './create-request-streams.ts';
import type { Sessions } from './create-sessions.ts';
import type { LegacyLimits } from './legacy-limits.ts';

/** How many sessions one step ends. */
const mostAtOnce = 500;

/** Ends and deletes from time to time what nobody can ask for any more. Every replica does it; each thing is ended once. */
export const createSweeper = ({
  context: { instance, logger, now },
  stores: { sessions: sessionStore, streams, sweep: sweepStore, answers },
  sessions,
  bus,
  limits,
}: {
  context: Pick<GatewayContext, 'instance' | 'logger' | 'now'>;
  stores: { sessions: McpSessionStore; streams: McpStreamStore; sweep: McpSweepStore; answers: McpAnswerStore };
  sessions: Sessions;
  bus: () => Pick<McpBus, 'tell'>;
  limits: LegacyLimits;
}) => {
  const ago = (ms: number): Date => new Date(now() - ms);
  let running: Promise<void> | undefined;

  const endSessions = async (ids: string[]): Promise<void> => {
    for (const id of ids) {
      bus().tell({ kind: 'session-ended', session: id });
      sessions.ended(id);
      await sweepStore.removeStreamsOf(id);
    }
  };
  const sweep = async (): Promise<void> => {
    sessions.tidy();
    let idle: string[];
    do {
      idle = await sessionStore.removeIdle(ago(limits.idleMs), mostAtOnce);
      await endSessions(idle);
    } while (idle.length === mostAtOnce);
    await endSessions(await sweepStore.removeLeft(ago(limits.leftMs)));
    while (await sweepStore.removeEnded(ago(limits.keepEndedMs)));
    // a client has had its time to come back for these
    for (const id of await sweepStore.unended(instance, ago(2 * limits.keepEndedMs)))
      await streams.endLost(id, { after: 0, now: new Date(now()), render: renderLost });
    await sweepStore.removeUnread({ eventsBefore: ago(limits.keepEndedMs), unreadBefore: ago(limits.idleMs) });
    await answers.removeOld(ago(limits.keepEndedMs));
  };
  const begin = (): void => {
    running ??= sweep()
      .catch((error) => logger.warn({ err: error }, 'ended sessions and streams could not be removed; trying again'))
      .finally(() => {
        running = undefined;
      });
  };
  const timer = setInterval(begin, limits.sweepMs).unref();

  return {
    close: async (): Promise<void> => {
      clearInterval(timer);
      await running;
    },
  };
};
