import { setTimeout as delay } from 'node:timers/promises';
import { pollUntil } from '../poll-until.ts';
import { areAtWork, crew, crewOf, isPlanner, launchCrew } from './agents-at-work.ts';
import type { PlatformCase, PlatformLane } from './platform-case.ts';
import { wrongPlatformFix } from './wrong-platform-fix.ts';

/** Enough for as long as a case is played. */
const limits = { steps: 1000, calls: 10_000, tokens: 100_000_000, timeSeconds: 900 };
const longWork = () =>
  crew().map((document) => (document.metadata.name === 'worker' ? { ...document, spec: { ...document.spec, limits } } : document));

/** Two are at work: one calls without a break as soon as it may, the other now and then. */
const play = ({ playAgents }: PlatformLane, gate: Promise<void>): void =>
  playAgents(async ({ messages }) => {
    if (isPlanner(messages)) return { answer: { items: ['storm', 'calm'] } };
    await gate;
    const turn = messages.filter(({ role }) => role === 'tool').length;
    const isStorm = messages.some(({ role, content }) => role === 'user' && String(content).includes('storm'));
    if (!isStorm) await delay(4000);
    // each call is another one, so that neither looks stuck
    const count = isStorm ? 8 : 1;
    return { calls: Array.from({ length: count }, (_, index) => ({ name: 'look', arguments: { text: `${turn}-${index}` } })) };
  });

/** One of several agents asks a server more often than it takes, and everybody who asks it is refused for that. */
export const stormingAgent: PlatformCase = {
  id: 'G10',
  fault: 'one caller makes a server refuse everybody',
  watch: ['servers', 'runs'],
  declare: longWork,
  begin: async (lane) => {
    const gate = Promise.withResolvers<void>();
    lane.later(gate.resolve);
    lane.mayGoOn = gate.resolve;
    play(lane, gate.promise);
    await launchCrew(lane, 2);
  },
  inject: async ({ server, mayGoOn }) => {
    server.state.mostPerSecond = 1;
    mayGoOn?.();
    await pollUntil(async () => (server.counts.throttled >= 12 ? true : undefined), 'calls to be refused', 120_000);
  },
  seenAs: /^unhealthy Agent\/\S+\/worker\/\d+ CallerStorm/,
  // the server counts a little sooner than half of a minute's refusals have come together at the gateway
  tellableAfterMs: 20_000,
  isWell: async (lane) => {
    const before = lane.server.counts.throttled;
    await delay(5000);
    return lane.server.counts.throttled - before <= 2 && (await areAtWork(lane, crewOf(lane)));
  },
  right: {
    ends: ['fixed'],
    changes: /^limit: Agent\/\S+\/worker\/\d+$/,
    operations: () => [{ op: 'limitRate' }],
  },
  wrong: (lane) => wrongPlatformFix('G10', lane),
};
