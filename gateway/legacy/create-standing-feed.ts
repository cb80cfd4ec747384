import type { McpStreamEvent } from '../../store/mcp-streams.ts';
import { type Bell, createBell } from './create-bell.ts';
import type { EventPage } from './send-events.ts';

/** Events that may wait in memory; a reader that is further behind reads the database. */
const mostFresh = 64;
/** Characters of events in memory; a reader that stands still finds the rest in the database. */
const mostHeld = 1024 * 1024;

/** What the reader of a standing stream gets next, and the bell that is rung when there may be something. */
export type StandingFeed = {
  bell: Bell;
  /** An event that this replica has appended: nobody has to read it again. */
  appended(event: McpStreamEvent): void;
  /** There may be events in the database. */
  look(): void;
  page(after: number): EventPage | Promise<EventPage>;
};

const nothing: EventPage = { events: [], isComplete: false };

/** Gives events from memory where this replica appended them, all others from the database. */
export const createStandingFeed = (read: (after: number) => Promise<McpStreamEvent[]>): StandingFeed => {
  const bell = createBell();
  let fresh: McpStreamEvent[] = [];
  // something may have been said before the reader was there to be told
  let mayBeBehind = true;

  const readStored = async (after: number): Promise<EventPage> => {
    // before the reading: what comes during it rings again
    mayBeBehind = false;
    const events = await read(after);
    if (events.length > 0) mayBeBehind = true;
    return { events, isComplete: false };
  };

  return {
    bell,
    appended: (event) => {
      const held = fresh.reduce((sum, { data }) => sum + data.length, event.data.length);
      if (fresh.length < mostFresh && held <= mostHeld) fresh.push(event);
      else mayBeBehind = true;
      bell.ring();
    },
    look: () => {
      mayBeBehind = true;
      bell.ring();
    },
    page: (after) => {
      fresh = fresh.filter(({ sequence }) => sequence > after);
      const gap = fresh.findIndex(({ sequence }, index) => sequence !== after + 1 + index);
      const events = fresh.slice(0, gap < 0 ? undefined : gap);
      if (events.length > 0) return { events, isComplete: false };
      // another replica has appended something in between
      if (fresh.length > 0) mayBeBehind = true;
      return mayBeBehind ? readStored(after) : nothing;
    },
  };
};
