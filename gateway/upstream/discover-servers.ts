import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PlatformError, toPlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { ServerReport } from '../../schema/process-report.ts';
import { digestOfOffered } from '../../store/digest-of-offered.ts';
import { setCondition } from '../../store/resources.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { isForAll, isPerRun, launchOf, type RunOfServer } from '../mcp/launch-of.ts';
import { createToolsetTeller } from './create-toolset-teller.ts';
import type { HostClient } from './host-client.ts';
import { isDeclared } from './is-declared.ts';
import { refusalIn } from './refusal.ts';
import { untilInForce } from './until-in-force.ts';
import type { McpServer, UpstreamPool } from './upstream-pool.ts';

const longestPauseMs = 30_000;
const grantPauseMs = 2000;
/** How often servers are looked at again: a killed one is found out, and one at a URL need not tell that it changed. */
const secondLookMs = 30_000;
const looksAtOnce = 8;
/** How long looks under way may take to end when discovery is stopped. */
const closeMs = 2000;

type Attempt = {
  server: McpServer;
  hasAnswered: boolean;
  failures: number;
  nextAt: number;
  looking?: Promise<void>;
  /** What the last look said: when, over which definitions, and why it failed. */
  said: Pick<ServerReport, 'lookedAt' | 'offeredDigest' | 'failure'>;
};

/**
 * Looks at each declared server, so that what it offers is pinned and its condition `Ready` is told, and again every half minute; a server
 * that does not answer is tried again, later and later. Servers are looked at side by side, so that none waits long for another. One that
 * starts a process for each run or session is looked at once, in a process of its own; folders of runs are empty ones there.
 */
export const createServerDiscovery = ({ context, pool, host }: { context: GatewayContext; pool: UpstreamPool; host: HostClient }) => {
  const attempts = new Map<string, Attempt>();
  const tellToolsets = createToolsetTeller(context);
  const underWay = new Set<Promise<void>>();
  const closing = new AbortController();
  let emptyFolder: Promise<string> | undefined;
  let passing: Promise<void> | undefined;

  const probeRun = async (server: McpServer): Promise<RunOfServer | undefined> => {
    if ('url' in server.spec || !isPerRun(server)) return undefined;
    emptyFolder ??= mkdtemp(join(tmpdir(), 'quarterdeck-empty-'));
    const hostPath = await emptyFolder;
    return { runId: 'discovery', volumes: server.spec.volumes.map(({ name }) => ({ name, hostPath, mode: 'rw' as const })) };
  };

  const tell = async (server: McpServer, status: 'True' | 'False', reason: string, message: string): Promise<void> => {
    if (closing.signal.aborted || !isDeclared(context, server)) return;
    const { org, project, name } = server.metadata;
    await setCondition(
      context.database,
      { org, project, kind: 'McpServer', name },
      { type: 'Ready', status, reason, message, observedGeneration: server.generation },
      new Date(context.now()),
    );
  };

  const describe = (offered: ReadonlyMap<string, string>, isolation: number): string => {
    const count = (kind: string): number => [...offered.keys()].filter((key) => key.startsWith(`${kind}/`)).length;
    const others = [
      [count('prompt'), 'prompts'],
      [count('template'), 'resource templates'],
    ].flatMap(([number, what]) => (number === 0 ? [] : [`${number} ${what}`]));
    return `${[`${count('tool')} tools`, ...others].join(', ')}; isolation tier ${isolation}`;
  };

  const look = async (attempt: Attempt): Promise<void> => {
    const { server } = attempt;
    const run = await probeRun(server);
    try {
      const { offered, isolation } = await pool.look(server, run, attempt.hasAnswered ? { longestAgeMs: 0 } : {});
      Object.assign(attempt, {
        hasAnswered: true,
        failures: 0,
        nextAt: !isForAll(server) ? Number.POSITIVE_INFINITY : context.now() + (context.config.serverLookMs ?? secondLookMs),
        said: { lookedAt: new Date(context.now()).toISOString(), offeredDigest: digestOfOffered(offered), failure: '' },
      });
      await untilInForce(context, server, offered);
      await tell(server, 'True', 'Answers', describe(offered, isolation));
    } catch (thrown) {
      if (refusalIn(thrown)?.isThrottled) context.storms.refused(server);
      const error = toPlatformError(thrown);
      attempt.failures += 1;
      attempt.said = { ...attempt.said, failure: error.detail };
      // asking whether a person has given a grant by now costs no look
      const longest = error.code === 'grant_needed' ? grantPauseMs : longestPauseMs;
      const pauseMs = Math.min(longest, 1000 * 2 ** attempt.failures);
      // what the breaker holds back was not tried
      const { retryInMs } = error.facts;
      attempt.nextAt = context.now() + (typeof retryInMs === 'number' ? Math.min(retryInMs, pauseMs) : pauseMs);
      await tell(server, 'False', error.code, error.detail);
    } finally {
      if (!isForAll(server)) {
        pool.forget(server, run ? { run } : {});
        await host.stop(launchOf(server, run).id).catch(() => undefined);
      }
    }
  };

  /** What is declared now, each with its attempt; what is not declared any more is forgotten. */
  const renewAttempts = (): void => {
    const declared = new Map(
      context
        .declared()
        .list('McpServer')
        .map((server) => [server.uid, server]),
    );
    for (const key of attempts.keys()) if (!declared.has(key)) attempts.delete(key);
    for (const [key, server] of declared)
      if (attempts.get(key)?.server.generation !== server.generation)
        attempts.set(key, { server, hasAnswered: false, failures: 0, nextAt: 0, said: { lookedAt: '', offeredDigest: '', failure: '' } });
  };

  const begin = (attempt: Attempt): void => {
    const looking = look(attempt)
      .catch((error) => context.logger.warn({ err: error }, 'a server could not be looked at; trying again'))
      .finally(() => {
        underWay.delete(looking);
        delete attempt.looking;
        void discover();
      });
    attempt.looking = looking;
    underWay.add(looking);
  };

  /** A server that was fine and fails its callers is looked at now, so that its condition says it. */
  const isGivenUp = ({ server, failures }: Attempt): boolean => failures === 0 && pool.healthOf(server) === 'open';

  const pass = async (): Promise<void> => {
    try {
      // not waited for: a server that is slow to stop keeps no other from being looked at
      void pool.dropUndeclared();
      renewAttempts();
      const due = [...attempts.values()].filter((attempt) => !attempt.looking && (attempt.nextAt <= context.now() || isGivenUp(attempt)));
      // the longest waiting first, so that many that never answer do not keep others away
      for (const attempt of due.sort((a, b) => a.nextAt - b.nextAt)) if (underWay.size < looksAtOnce) begin(attempt);
      await tellToolsets(({ uid }) => attempts.get(uid)?.hasAnswered === true);
    } catch (error) {
      context.logger.warn({ err: error }, 'servers could not be looked at; trying again');
    }
  };

  /** Begins looks at what is new or due; calls that come meanwhile are folded into the next. */
  const discover = (): Promise<void> => {
    if (closing.signal.aborted) return Promise.resolve();
    passing ??= pass().finally(() => {
      passing = undefined;
    });
    return passing;
  };

  const timer = setInterval(() => void discover(), 1000);
  timer.unref();

  return {
    discover,
    /** What is known of each server here. */
    report: (): ServerReport[] =>
      [...attempts.values()].map(({ server, failures, said }) => {
        const { org, project, name } = server.metadata;
        return { org, project, server: name, generation: server.generation, health: pool.healthOf(server), failures, ...said };
      }),
    /**
     * Looks at a server now, whatever its turn.
     * @param options.anew - lets go first of what is open to it and of what is remembered of its health
     * @throws {PlatformError} `not_found`; `server_unavailable` where it does not answer
     */
    lookNow: async (place: Tenancy, name: string, { anew = false } = {}): Promise<void> => {
      renewAttempts();
      const attempt = [...attempts.values()].find(
        ({ server: { metadata } }) => metadata.org === place.org && metadata.project === place.project && metadata.name === name,
      );
      if (!attempt) throw new PlatformError('not_found', `No server ${name} is declared in ${place.org}/${place.project} here.`);
      // one that is under way began before it was asked for
      await attempt.looking;
      if (anew) await pool.letGo(attempt.server);
      begin(attempt);
      await attempt.looking;
      if (attempt.failures > 0) throw new PlatformError('server_unavailable', attempt.said.failure);
    },
    close: async (): Promise<void> => {
      closing.abort();
      clearInterval(timer);
      await passing;
      // a look at a server that does not answer may take long; it finds everything closed
      await Promise.race([Promise.all(underWay), delay(closeMs, undefined, { ref: false })]);
      if (emptyFolder) await rm(await emptyFolder, { recursive: true, force: true });
    },
  };
};
