import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

type Asked = { target: string; point: string; agentId: string; audience: string };

/**
 * What a worker asks from elsewhere: at each point whether it goes on, and for the tokens of its agents. The n-th time at a point is
 * called `point #n`.
 * @param options.mint - tokens as the issuer makes them
 */
export const startCrashControl = async ({ mint }: { mint: (agentId: string, audience: string) => Promise<string> }) => {
  const seen = new Map<string, string[]>();
  const holds = new Map<string, string>();
  const held = new Set<string>();

  const server = createServer(async (request, response) => {
    const { target, point, agentId, audience } = (await json(request)) as Asked;
    if (request.url === '/token') return void response.end(await mint(agentId, audience));
    const points = seen.get(target) ?? [];
    const name = `${point} #${points.filter((one) => one.startsWith(`${point} #`)).length + 1}`;
    seen.set(target, [...points, name]);
    // held for ever: the answer never comes
    if (holds.get(target) !== name) return void response.end();
    held.add(target);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Points that a target's activities came by, in their order. */
    pointsOf: (target: string): string[] => seen.get(target) ?? [],
    /** Holds a target for ever once it comes to a point. */
    hold: (target: string, point: string): void => void holds.set(target, point),
    isHeld: (target: string): boolean => held.has(target),
    /** From now on nothing is held. */
    letGo: (): void => holds.clear(),
    close: async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
export type CrashControl = Awaited<ReturnType<typeof startCrashControl>>;
