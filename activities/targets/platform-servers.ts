import type { Tenancy } from '../../schema/ids.ts';
import type { ServerReport } from '../../schema/process-report.ts';
import type { ObservedObject, Symptom } from '../../schema/reconcile/observation.ts';
import { listDefinitions } from '../../store/definitions.ts';
import { digestOfDefinitions } from '../../store/digest-of-offered.ts';
import { listReports } from '../../store/process-reports.ts';
import { listRateHolds } from '../../store/rate-holds.ts';
import { listResources } from '../../store/resources.ts';
import { NothingSaid, type PlatformContext, type PlatformPart, platformObject, platformRef, symptom } from './platform-context.ts';
import { stormSymptom, stormsIn } from './platform-storms.ts';

/** What the gateways that are there say, each with its name. @throws {NothingSaid} where none does */
export const gatewayReports = async ({ database }: Pick<PlatformContext, 'database'>) => {
  const gateways = (await listReports(database)).flatMap(({ instance, report, startedAt, isLive }) =>
    isLive && report.process === 'gateway' ? [{ instance, report, startedAt }] : [],
  );
  if (gateways.length === 0) throw new NothingSaid('no gateway says what it serves');
  return gateways;
};

/**
 * MCP servers as each gateway has them. `RouteBroken`: a gateway serves it as it was declared before, or does not get through to it.
 * `ToolListStale`: a gateway goes by an offer that is not the one seen last, or has not looked for long. `CredentialExpired`: it does not
 * take the credential that it is sent, or its issuer gives none any more. `BackendThrottled`: it is asked too often, by many.
 */
export const createPlatformServers = (context: PlatformContext): PlatformPart => ({
  see: async (place): Promise<ObservedObject[]> => {
    const { database, patience, now } = context;
    const [resources, definitions, holds, gateways] = await Promise.all([
      listResources(database, { ...place, kind: 'McpServer' }),
      listDefinitions(database, place),
      listRateHolds(database, place),
      gatewayReports(context),
    ]);
    const storms = stormsIn(
      gateways.map(({ report }) => report),
      place,
    );
    const symptomsOf = (generation: number, offered: string, at: ServerReport | undefined, gateway: string): Symptom[] => {
      // it has not begun with this one yet, which it does by itself
      if (!at) return [];
      if (at.generation !== generation) return [symptom('RouteBroken', `${gateway} serves generation ${at.generation} of ${generation}.`)];
      if (at.failures > 0 || at.health === 'open')
        return [symptom('RouteBroken', `${gateway}: ${at.failure || 'it is not asked at the moment'}`)];
      if (at.lookedAt === '') return [];
      const ageMs = now().getTime() - Date.parse(at.lookedAt);
      // one that looks in its turn finds what another has found, and tells it with its next report
      if (at.offeredDigest !== offered && ageMs > patience.staleListMs / 2)
        return [symptom('ToolListStale', `${gateway} goes by another list than the newest one.`)];
      return ageMs > patience.staleListMs ? [symptom('ToolListStale', `${gateway} has not looked for ${Math.round(ageMs / 1000)} s.`)] : [];
    };
    const objects = resources.map(async ({ uid, generation, metadata: { name } }) => {
      const offered = digestOfDefinitions(definitions.filter(({ server }) => server === name));
      const storm = storms.find(({ server }) => server === name);
      const throttled = storm && !storm.agent ? [await stormSymptom(context, place, storm)] : [];
      const symptoms = gateways.flatMap(({ instance, report, startedAt }) => {
        // one that has just been started looks first
        if (now().getTime() - startedAt.getTime() < Math.min(patience.staleListMs, 10_000)) return [];
        const isIt = (one: Tenancy & { server: string }): boolean =>
          one.server === name && one.org === place.org && one.project === place.project;
        const refused = report.refusedCredentials?.find(isIt);
        if (refused) return [symptom('CredentialExpired', `${instance}: ${refused.why}`, refused.callers)];
        const seen = symptomsOf(generation, offered, report.servers.find(isIt), instance);
        // what asks too often gets no answer; the way there is as it should be
        return storm || report.storms?.some(isIt) ? seen.filter(({ code }) => code !== 'RouteBroken') : seen;
      });
      const held = holds.find((hold) => hold.kind === 'McpServer' && hold.name === name);
      const state = { generation, gateways: gateways.length, ...(held ? { callsPerMinute: held.callsPerMinute } : {}) };
      return platformObject(platformRef('McpServer', '', name), uid, state, [...symptoms, ...throttled]);
    });
    return Promise.all(objects);
  },
});
