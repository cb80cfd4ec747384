import { lookup } from 'node:dns/promises';
import { getCACertificates } from 'node:tls';
import { newDecisionId } from '../../control/api/new-decision-id.ts';
import { placeholderOf, type ReachableServer } from '../../runtime/egress/reachable-server.ts';
import { startEgress } from '../../runtime/egress/start-egress.ts';
import { createAuditLog } from '../../store/audit-log.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import type { Declared } from '../../store/declared.ts';
import { openSealRing } from '../../store/seal-ring.ts';
import { watchDeclared } from '../../store/watch-declared.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { createSecretAsker } from './ask-for-secrets.ts';
import { createEgressRecorder } from './egress-audit.ts';
import type { RunningProcess } from './messages.ts';
import type { EgressConfig } from './process-configs.ts';

/** Servers that may reach anything, as they are declared. */
export const reachableServers = (declared: Declared): ReachableServer[] =>
  declared.list('McpServer').flatMap(({ metadata: { org, project, name }, spec }) => {
    if ('url' in spec || !spec.egress?.length) return [];
    const identity = { org, project, server: name };
    const placeholders = Object.entries(spec.secrets ?? {}).map(([variable, { hosts, header }]) => ({
      ...{ variable, hosts, header },
      placeholder: placeholderOf(identity, variable),
    }));
    return [{ ...identity, rules: spec.egress, placeholders }];
  });

/** Gives up root for good, with everything that comes with it. The certificates of this machine are read before, as they may be closed later. */
const becomeAccount = ({ uid, gid }: { uid: number; gid: number }): void => {
  getCACertificates('default');
  getCACertificates('extra');
  process.setgroups?.([]);
  process.setgid?.(gid);
  process.setuid?.(uid);
};

/** The outbound proxy of caged servers, under a user id of its own where the supervisor is root. */
export const startEgressProcess = async (config: EgressConfig, logger: Logger): Promise<RunningProcess> => {
  // from here on by relative paths: the folder may lie below one that is closed to the account, and paths of sockets are short
  process.chdir(config.directory);
  process.umask(0o027);
  if (config.account) becomeAccount(config.account);
  logger.info({ event: 'egress-account', uid: process.getuid?.(), isOwn: config.account !== undefined }, 'runs as');
  const database = openDatabase({ url: config.databaseUrl, max: 6, name: 'egress' });
  const people = await openSealRing({ database, name: 'people', master: config.auditKey, logger });
  const audit = createAuditLog({ database, process: 'egress', key: config.auditKey, peopleKeys: people.keys('audit-people') });
  const recorder = createEgressRecorder({ append: (events) => audit.append(database, events), logger });
  const egress = await startEgress('.', {
    authority: config.authority,
    authorities: [],
    closedPorts: new Set(config.closedPorts),
    recorder,
    readSecret: createSecretAsker(Date.now),
    lookUp: (host) => lookup(host, { all: true, order: 'verbatim' }),
    newDecisionId,
    now: Date.now,
    logger,
  });
  const watch = await watchDeclared({ database, logger, onChange: (declared) => egress.update(reachableServers(declared)) });
  return {
    close: async () => {
      await watch.close();
      await egress.close();
      await recorder.close();
      await audit.close().catch(() => undefined);
      await people.close();
      await closeDatabase(database);
    },
  };
};
