import { createListenHub, type ListenHub } from './listen-hub.ts';
import type { Place } from './place.ts';

/** Pauses between tries to reach a server that somebody listens to. */
const firstPauseMs = 1000;
const longestPauseMs = 30_000;

type Revival = { timer: ReturnType<typeof setTimeout>; pauseMs: number };

export type ListenHubs = {
  find(key: string): ListenHub | undefined;
  at(key: string): ListenHub;
  /** A listener has left. */
  tidy(key: string): void;
  /** Opens a place again, as long as somebody listens there, and says that changes may have been missed. */
  revive(place: Place): void;
  close(): void;
};

/**
 * Those who listen, by place.
 * @param open - opens a place, or finds it open
 * @param present - the place as it is declared now; undefined when it is gone
 */
export const createListenHubs = ({
  open,
  present,
}: {
  open: (place: Place) => Promise<unknown>;
  present: (place: Place) => Place | undefined;
}): ListenHubs => {
  const hubs = new Map<string, ListenHub>();
  const revivals = new Map<string, Revival>();

  const wait = (place: Place, pauseMs: number): void => {
    const timer = setTimeout(() => void attempt(place, pauseMs), pauseMs * (0.8 + Math.random() * 0.4));
    timer.unref();
    revivals.set(place.key, { timer, pauseMs });
  };
  const attempt = async (place: Place, pauseMs: number): Promise<void> => {
    const hub = hubs.get(place.key);
    const now = present(place);
    if (!hub) return void revivals.delete(place.key);
    // deleted, or declared otherwise: it may come back under its name
    if (!now) return wait(place, longestPauseMs);
    try {
      await open(now);
      revivals.delete(place.key);
      hub.deliverAll();
    } catch {
      if (hubs.has(place.key)) wait(place, Math.min(longestPauseMs, pauseMs * 2));
      else revivals.delete(place.key);
    }
  };

  return {
    find: (key) => hubs.get(key),
    at: (key) => {
      const hub = hubs.get(key) ?? createListenHub();
      hubs.set(key, hub);
      return hub;
    },
    tidy: (key) => {
      if (hubs.get(key)?.size !== 0) return;
      hubs.delete(key);
      clearTimeout(revivals.get(key)?.timer);
      revivals.delete(key);
    },
    revive: (place) => {
      if (hubs.has(place.key) && !revivals.has(place.key)) wait(place, firstPauseMs);
    },
    close: () => {
      for (const { timer } of revivals.values()) clearTimeout(timer);
      revivals.clear();
      hubs.clear();
    },
  };
};
