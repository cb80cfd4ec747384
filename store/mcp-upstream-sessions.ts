import { and, eq, lt, or, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { mcpUpstreamSessions } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

/** What a server holds for one session key. `part` tells apart what one key has there several times, e.g. for other capabilities. */
export type UpstreamSessionKey = Tenancy & { server: string; sessionKey: string; part: string };

/** Where a session is at its server. Kept for another replica that goes on with it, and for whoever ends it. */
export type UpstreamSession = {
  /** Of a server by URL: where it was opened, and its id there. */
  url?: string;
  id?: string;
  /** Of a server of ours: the instance at the host that serves the session alone. */
  instance?: string;
  protocolVersion: string;
};

/** One that nobody used for so long is forgotten, whatever became of its owner. */
const longestUnusedMs = 24 * 3_600_000;
/** Use is written down this seldom. */
const touchMs = 60_000;

export type UpstreamSessionStore = {
  find(key: UpstreamSessionKey): Promise<UpstreamSession | undefined>;
  /** @returns the one that was kept first: the given, or another replica's */
  keep(key: UpstreamSessionKey, session: UpstreamSession): Promise<UpstreamSession>;
  /** It was used; others are not to end it. */
  touch(key: UpstreamSessionKey): Promise<void>;
  remove(key: UpstreamSessionKey): Promise<void>;
  /** Takes it out if nobody used it for so long. @returns whether it was taken out */
  removeIdle(key: UpstreamSessionKey, idleMs: number): Promise<boolean>;
  /** Takes out all of one session key. */
  removeOfKey(sessionKey: string): Promise<(UpstreamSession & Tenancy & { server: string })[]>;
  /** Takes out all of a server that is gone. */
  removeOfServer(server: Tenancy & { server: string }): Promise<void>;
  removeOld(): Promise<void>;
};

/** No session key has a line break: the part stands behind it. */
const columnOf = ({ sessionKey, part }: Pick<UpstreamSessionKey, 'sessionKey' | 'part'>): string => `${sessionKey}\n${part}`;
const { org, project, server, sessionKey: key, usedAt } = mcpUpstreamSessions;
const at = (of: UpstreamSessionKey) => and(eq(org, of.org), eq(project, of.project), eq(server, of.server), eq(key, columnOf(of)));
const before = (ms: number) => sql`now() - ${ms / 1000} * interval '1 second'`;

export const upstreamSessionContext = (row: Tenancy & { server: string; sessionKey: string }): string =>
  `${row.org}/${row.project}/${row.server}/upstream-session/${row.sessionKey}`;

/** Sessions at servers, sealed with the gateway's key: whoever knows the id of one may use it. */
export const createUpstreamSessionStore = (database: Database, keys: ContentKeys): UpstreamSessionStore => {
  type Row = Pick<
    typeof mcpUpstreamSessions.$inferSelect,
    'org' | 'project' | 'server' | 'sessionKey' | 'upstreamSession' | 'protocolVersion'
  >;
  const sessionOf = (row: Row): UpstreamSession => ({
    ...JSON.parse(unseal(keys, row.upstreamSession, upstreamSessionContext(row)).toString()),
    protocolVersion: row.protocolVersion,
  });

  const find = (of: UpstreamSessionKey): Promise<UpstreamSession | undefined> =>
    guarded(async () => {
      const [row] = await database.select().from(mcpUpstreamSessions).where(at(of));
      return row && sessionOf(row);
    });

  return {
    find,
    keep: (of, { protocolVersion, ...place }) =>
      guarded(async () => {
        const row = { org: of.org, project: of.project, server: of.server, sessionKey: columnOf(of) };
        const upstreamSession = seal(keys, Buffer.from(JSON.stringify(place)), upstreamSessionContext(row));
        const inserted = await database
          .insert(mcpUpstreamSessions)
          .values({ ...row, upstreamSession, protocolVersion })
          .onConflictDoNothing()
          .returning({ server });
        const own = { ...place, protocolVersion };
        return inserted.length > 0 ? own : ((await find(of)) ?? own);
      }),
    touch: (of) =>
      guarded(async () => {
        await database
          .update(mcpUpstreamSessions)
          .set({ usedAt: sql`now()` })
          .where(and(at(of), lt(usedAt, before(touchMs))));
      }),
    remove: (of) => guarded(async () => void (await database.delete(mcpUpstreamSessions).where(at(of)))),
    removeIdle: (of, idleMs) =>
      guarded(async () => {
        const removed = await database
          .delete(mcpUpstreamSessions)
          .where(and(at(of), lt(usedAt, before(idleMs))))
          .returning({ server });
        return removed.length > 0;
      }),
    removeOfKey: (sessionKey) =>
      guarded(async () => {
        const whole = sql`starts_with(${key}, ${`${sessionKey}\n`})`;
        const rows = await database
          .delete(mcpUpstreamSessions)
          .where(or(eq(key, sessionKey), whole))
          .returning();
        return rows.map((row) => ({ org: row.org, project: row.project, server: row.server, ...sessionOf(row) }));
      }),
    removeOfServer: (of) =>
      guarded(async () => {
        await database.delete(mcpUpstreamSessions).where(and(eq(org, of.org), eq(project, of.project), eq(server, of.server)));
      }),
    removeOld: () => guarded(async () => void (await database.delete(mcpUpstreamSessions).where(lt(usedAt, before(longestUnusedMs))))),
  };
};
