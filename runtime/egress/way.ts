import type { Socket } from 'node:net';
import type { EgressRule } from '../../schema/resources/egress.ts';
import type { Attempt, EgressParts } from './egress-parts.ts';
import { connectPinned, findAddresses } from './reach-host.ts';
import type { ReachableServer } from './reachable-server.ts';
import { Refusal, type RefusalReason, reasonOf } from './refusal.ts';

/** Of one server at once. */
const mostWays = 128;
/** A way on which nothing goes either way for so long is closed. */
const idleMs = 600_000;

/** A connection to an allowed host, from its record to its record. */
export type Way = {
  readonly attempt: Attempt;
  readonly rule: EgressRule;
  readonly upstream: Socket;
  /** Counts a request, with the variables whose secrets went along. */
  sent(variables: readonly string[]): void;
  /** Ends it where it has carried more than it may; to be called as bytes go by. */
  check(): void;
  /** Ends it; the first reason is the one on record. */
  end(reason?: RefusalReason): void;
  /** Called once, when it has ended. */
  onEnd(listener: () => void): void;
};

export type Ways = {
  /** Opens a way, or says why not, on record either way. @throws {Refusal} */
  open(server: ReachableServer, place: { host: string; port: number; kind: (rule: EgressRule) => Attempt['kind'] }): Promise<Way>;
  /** Puts on record what never became a place. */
  refuse(server: ReachableServer, place: { host: string; port: number }, reason: RefusalReason): void;
  /** Ends what the rules do not allow any more. */
  recheck(rules: readonly EgressRule[]): void;
  endAll(): void;
};

const isSame = (one: EgressRule, other: EgressRule): boolean =>
  one.host === other.host && one.port === other.port && one.private === other.private && one.maximumMb === other.maximumMb;

/** All ways of one server. */
export const createWays = (parts: EgressParts): Ways => {
  const { recorder, newDecisionId, now } = parts;
  const open = new Set<Way>();
  let opening = 0;

  const follow = (attempt: Attempt, rule: EgressRule, upstream: Socket, startedAt: number): Way => {
    const most = rule.maximumMb * 1_000_000;
    const variables = new Set<string>();
    const address = upstream.remoteAddress;
    let requests = 0;
    let reason: RefusalReason | undefined;
    let hasEnded = false;
    const ended = Promise.withResolvers<void>();
    const way: Way = {
      attempt,
      rule,
      upstream,
      sent: (names) => {
        requests += 1;
        for (const name of names) variables.add(name);
      },
      end: (why) => {
        if (!hasEnded) reason ??= why;
        upstream.destroy();
      },
      onEnd: (listener) => void ended.promise.then(listener),
      check: () => {
        if (upstream.bytesRead > most || upstream.bytesWritten > most) way.end('too-many-bytes');
      },
    };
    upstream.setTimeout(idleMs, () => way.end('idle'));
    upstream.on('error', () => undefined); // seen by its end
    upstream.once('close', () => {
      hasEnded = true;
      open.delete(way);
      ended.resolve();
      recorder.closed(attempt, {
        ...(address === undefined ? {} : { address }),
        sentBytes: upstream.bytesWritten,
        receivedBytes: upstream.bytesRead,
        durationMs: now() - startedAt,
        requests,
        secrets: [...variables].sort(),
        ...(reason === undefined ? {} : { reason }),
      });
    });
    open.add(way);
    return way;
  };

  const attemptOf = ({ org, project, server }: ReachableServer, host: string, port: number, kind: Attempt['kind']): Attempt => ({
    decisionId: newDecisionId(),
    server: { org, project, server },
    host,
    port,
    kind,
  });

  return {
    refuse: (server, { host, port }, reason) => recorder.refused(attemptOf(server, host, port, 'tunnel'), reason),
    open: async (server, { host, port, kind }) => {
      const rule = server.rules.find((one) => one.host === host && one.port === port);
      const attempt = attemptOf(server, host, port, rule ? kind(rule) : 'tunnel');
      const startedAt = now();
      let isOnRecord = false;
      opening += 1;
      try {
        if (!rule) throw new Refusal('not-allowed');
        if (open.size + opening > mostWays) throw new Refusal('capacity');
        const addresses = await findAddresses(rule, parts);
        await recorder.opening(attempt).catch((cause: unknown) => {
          throw new Refusal('unrecorded', { cause });
        });
        isOnRecord = true;
        return follow(attempt, rule, await connectPinned(addresses, port), startedAt);
      } catch (error) {
        const reason = reasonOf(error);
        const nothing = { sentBytes: 0, receivedBytes: 0, requests: 0, secrets: [] };
        if (isOnRecord) recorder.closed(attempt, { ...nothing, durationMs: now() - startedAt, reason });
        else recorder.refused(attempt, reason);
        throw error;
      } finally {
        opening -= 1;
      }
    },
    recheck: (rules) => {
      for (const way of open) if (!rules.some((rule) => isSame(rule, way.rule))) way.end('revoked');
    },
    endAll: () => {
      for (const way of open) way.end();
    },
  };
};
