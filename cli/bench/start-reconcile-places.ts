import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Images } from '../../bench/reconcile/cluster/program-facts.ts';
import { startCluster } from '../../bench/reconcile/cluster/start-cluster.ts';
import type { Installation } from '../../bench/reconcile/installation.ts';
import type { ReconcilePlaces } from '../../bench/reconcile/run-reconcile-bench.ts';
import { startIssuerFront } from '../../bench/reconcile/start-issuer-front.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { replacePersonToken, seedPeople } from '../../store/people.ts';
import type { Config } from '../config.ts';
import { kubernetesPrograms } from '../setup/kubernetes-programs.mjs';
import type { Platform, PlatformTuning } from '../up/platform-options.ts';
import { checkPorts, type Listener, portOffsets, portsFrom } from '../up/ports.ts';
import { issuerUrlOf } from '../up/seed.ts';
import { startPlatform } from '../up/start-platform.ts';
import { createUndo } from '../up/undo.ts';
import { makeBenchFolder } from './bench-folder.ts';

/** Those who approve: none of them declares a target, and a fix may need two. */
const reviewers = ['ines', 'jonas'] as const;

const hourMs = 3_600_000;

/** A base of which all ten ports are free. */
const freeBasePort = async (): Promise<number> => {
  for (let base = 21_000; base < 29_000; base += 10 * (1 + (process.pid % 7))) {
    const isFree = await checkPorts(portsFrom(base), Object.keys(portOffsets) as Listener[]).then(
      () => true,
      () => false,
    );
    if (isFree) return base;
  }
  throw new Error('no ten free ports in a row from 21000 to 29000');
};

/** The people of the bench, each with a token of their own. */
const seedReviewers = async (databaseUrl: string): Promise<ReconcilePlaces['reviewers']> => {
  const { org } = defaultTenancy;
  const database = openDatabase({ url: databaseUrl, max: 1, name: 'bench' });
  try {
    await seedPeople(
      database,
      org,
      reviewers.map((id) => ({ id, roles: ['reviewer'], groups: [] })),
    );
    return await Promise.all(
      reviewers.map(async (name) => {
        const token = `qd_${randomBytes(32).toString('base64url')}`;
        await replacePersonToken(database, { org, personId: name, stamp: 'bench', token });
        return { name, token };
      }),
    );
  } finally {
    await closeDatabase(database);
  }
};

/** A row of an agent is young while its workflow starts; nothing of the bench takes longer than that. */
const patience = { agentMs: 8000, drainMs: 5000 };

const installationOf = async ({ ready }: Platform, issuerUrl: string): Promise<Installation> => ({
  ...{ apiUrl: ready.apiUrl, gatewayUrl: ready.url, issuerUrl, temporalAddress: ready.temporalAddress, databaseUrl: ready.databaseUrl },
  ownerToken: ready.adminToken ?? '',
  reviewers: await seedReviewers(ready.databaseUrl),
});

/**
 * Starts what the bench of the reconciler stands on: a platform as `quarterdeck up --profile dev` has it, on a data folder and ports of its
 * own, and a cluster whose machines are played. Nothing of it outlives `close`.
 * @param options.signal - ends a start that is under way; what was started by then is stopped
 * @throws what a start throws, or the reason of `signal`
 */
export const startReconcilePlaces = async (
  root: string,
  config: Config,
  { onLine, signal }: { onLine: (text: string) => void; signal: AbortSignal },
): Promise<ReconcilePlaces & { folder: string; close(): Promise<void> }> => {
  const undo = createUndo();
  try {
    const folder = makeBenchFolder(root);
    undo.add(() => rmSync(folder, { recursive: true, force: true }));
    const images: Images = {};
    const cluster = await startCluster(kubernetesPrograms(), images, { signal });
    undo.add(cluster.close);
    const start = async (name: string, port: number, tuning: PlatformTuning): Promise<Platform> => {
      const options = { dataDirectory: join(folder, name), port, profile: 'dev', allowUncaged: false } as const;
      const platform = await startPlatform({ ...options, config, tuning, signal, onLine });
      undo.add(platform.stop);
      return platform;
    };
    const port = await freeBasePort();
    const platform = await start('data', port, { patience });
    return {
      ...(await installationOf(platform, issuerUrlOf(portsFrom(port)))),
      ...{ cluster, images, folder },
      close: undo.run,
      startBreakable: async () => {
        const own = await freeBasePort();
        const issuerUrl = issuerUrlOf(portsFrom(own));
        const { jwksUri, front, close } = await startIssuerFront(`${issuerUrl}/jwks`);
        undo.add(close);
        const breakable = await start('breakable', own, {
          // it hears of nothing but by what tells it
          gateway: { serverLookMs: hourMs, declaredPollMs: hourMs, jwksUri },
          patience: { ...patience, staleListMs: 30_000, policiesMs: 3000 },
          workersApart: ['tool'],
        });
        return {
          ...(await installationOf(breakable, issuerUrl)),
          front,
          pidOf: (part) => breakable.report().find(({ name }) => name === part)?.pid,
        };
      },
    };
  } catch (error) {
    await undo.run();
    throw error;
  }
};
