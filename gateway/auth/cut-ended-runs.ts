import { findWorkingAgents } from '../../store/agents.ts';
import type { Database } from '../../store/database.ts';
import { type EndedIdentity, watchEndedIdentities } from '../../store/watch-ended-identities.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { HttpAnswer } from '../front/http-exchange.ts';
import { PassingMap } from '../passing-map.ts';
import type { AgentPrincipal, Principal } from '../principal.ts';
import { type AgentFacts, isEnded } from './agent-facts.ts';
import type { createStreamGuard } from './create-stream-guard.ts';

/** With the time of one query, whoever acts for a run that has ended is cut off within 2 s, also when the database cannot tell. */
const usualLookMs = 1000;

/**
 * Ends what agents are being answered as soon as they or their run have ended or were revoked: streams that stand end with their answer,
 * other answers are cut off, which ends their calls as if the caller had left. Hears of it from the database, and looks every second
 * while some agent is being answered.
 * @param options.agents - believes nothing any more about whoever has ended
 * @returns `serve`, to be called once for each request of an agent
 */
export const cutEndedRuns = ({
  database,
  agents,
  streams,
  logger,
  lookMs = usualLookMs,
}: {
  database: Database;
  agents: Pick<AgentFacts, 'forget' | 'forgetAll'>;
  streams: Pick<ReturnType<typeof createStreamGuard>, 'endFor'>;
  logger: Logger;
  lookMs?: number | undefined;
}) => {
  const served = new PassingMap<number, { response: HttpAnswer; principal: AgentPrincipal }>();
  let lastNumber = 0;
  let looking: Promise<void> | undefined;

  const cut = (hasEnded: (principal: AgentPrincipal) => boolean): void => {
    const ending = streams.endFor((principal: Principal) => principal.kind === 'agent' && hasEnded(principal));
    for (const { response, principal } of served.values()) if (!ending.has(response) && hasEnded(principal)) response.destroy();
  };
  const look = async (): Promise<void> => {
    const ids = new Set(served.values().map(({ principal: { agentId } }) => agentId));
    if (ids.size === 0) return;
    const working = await findWorkingAgents(database, [...ids]);
    // whoever came meanwhile was not asked about
    cut(({ agentId }) => ids.has(agentId) && !working.has(agentId));
  };
  const lookSoon = (): void => {
    // who could say so does not answer at the moment, and has taken nothing back
    looking ??= look()
      .catch((error) => logger.warn({ err: error }, 'it cannot be seen which runs have ended; trying again'))
      .finally(() => {
        looking = undefined;
      });
  };

  const watch = watchEndedIdentities({
    database,
    logger,
    onEnded: (ended: EndedIdentity) => {
      agents.forget(ended);
      cut((principal) => isEnded(ended, principal));
    },
    onListening: () => {
      agents.forgetAll();
      lookSoon();
    },
  });
  const timer = setInterval(lookSoon, lookMs).unref();

  return {
    /** Remembers who is being answered, until that is over. */
    serve: (principal: Principal, response: HttpAnswer): void => {
      if (principal.kind !== 'agent' || response.destroyed) return;
      lastNumber += 1;
      const number = lastNumber;
      served.set(number, { response, principal });
      response.once('close', () => served.delete(number));
    },
    close: async (): Promise<void> => {
      clearInterval(timer);
      watch.close();
      await looking;
    },
  };
};
