import type { ServerLaunch } from '../../schema/server-launch.ts';

const maximumKnown = 1_000;

/** Which programs turned out to be of the legacy era, so that they are not asked again at every start: some answer nothing, and cost a wait. */
export type KnownEras = {
  isLegacy(launch: ServerLaunch): boolean;
  remember(launch: ServerLaunch): void;
  forget(launch: ServerLaunch): void;
};

export const createKnownEras = (): KnownEras => {
  const legacy = new Set<string>();
  const keyOf = ({ program, args }: ServerLaunch): string => JSON.stringify([program, args]);
  return {
    isLegacy: (launch) => legacy.has(keyOf(launch)),
    remember: (launch) => {
      const [oldest] = legacy;
      if (legacy.size >= maximumKnown && oldest !== undefined) legacy.delete(oldest);
      legacy.add(keyOf(launch));
    },
    forget: (launch) => void legacy.delete(keyOf(launch)),
  };
};
