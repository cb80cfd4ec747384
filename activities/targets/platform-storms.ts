import type { Tenancy } from '../../schema/ids.ts';
import { type ProcessReport, stormSeconds } from '../../schema/process-report.ts';
import type { Symptom } from '../../schema/reconcile/observation.ts';
import { countAnsweredCalls } from '../../store/answered-calls.ts';
import { type PlatformContext, symptom } from './platform-context.ts';

type GatewayReport = Extract<ProcessReport, { process: 'gateway' }>;

/** Fewer refusals within `stormSeconds` are the everyday of a busy server. */
const leastRefusals = 10;
const minuteMs = 60_000;

/** A server that is asked too often. `agent` makes at least half of what it refuses; undefined where nobody does, or where people do. */
export type Storm = { server: string; refused: number; agent?: { id: string; refused: number } };

/** Storms at the servers of a project, as all gateways together see them. */
export const stormsIn = (reports: readonly Pick<GatewayReport, 'storms'>[], { org, project }: Tenancy): Storm[] => {
  const servers = new Map<string, { refused: number; agents: Map<string, number> }>();
  // a gateway of the release before says nothing of them
  for (const told of reports.flatMap(({ storms }) => storms ?? [])) {
    if (told.org !== org || told.project !== project) continue;
    const known = servers.get(told.server) ?? { refused: 0, agents: new Map<string, number>() };
    known.refused += told.refused;
    for (const { agent, refused } of told.agents) known.agents.set(agent, (known.agents.get(agent) ?? 0) + refused);
    servers.set(told.server, known);
  }
  return [...servers]
    .filter(([, { refused }]) => refused >= leastRefusals)
    .map(([server, { refused, agents }]) => {
      const [most] = [...agents].sort(([, one], [, other]) => other - one);
      return { server, refused, ...(most && most[1] * 2 >= refused ? { agent: { id: most[0], refused: most[1] } } : {}) };
    });
};

/** What a storm is to whoever has to find a rate that the server takes: how much it refuses, and how much it answers. */
export const stormSymptom = async (
  { database, now }: Pick<PlatformContext, 'database' | 'now'>,
  place: Tenancy,
  { server, refused, agent }: Storm,
): Promise<Symptom> => {
  const answered = await countAnsweredCalls(database, place, { server, agent: agent?.id, since: new Date(now().getTime() - minuteMs) });
  const took = `within the last minute it answered ${answered}`;
  return agent
    ? symptom(
        'CallerStorm',
        `The server ${server} refused ${agent.refused} of its calls within ${stormSeconds} s because it is asked too often (429), of ${refused} in all; ${took} of its calls.`,
        agent.refused,
      )
    : symptom(
        'BackendThrottled',
        `It refused ${refused} calls within ${stormSeconds} s because it is asked too often (429), and no one agent makes most of them; ${took}.`,
        refused,
      );
};
