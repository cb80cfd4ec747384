import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Images } from '../../bench/reconcile/cluster/program-facts.ts';
import { startCluster } from '../../bench/reconcile/cluster/start-cluster.ts';
import type { ReconcilePlaces } from '../../bench/reconcile/run-reconcile-bench.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { replacePersonToken, seedPeople } from '../../store/people.ts';
import type { Config } from '../config.ts';
import { kubernetesPrograms } from '../setup/kubernetes-programs.mjs';
import { checkPorts, type Listener, portOffsets, portsFrom } from '../up/ports.ts';
import { startPlatform } from '../up/start-platform.ts';
import { createUndo } from '../up/undo.ts';
import { makeBenchFolder } from './bench-folder.ts';

/** Those who approve: none of them declares a target, and a fix may need two. */
const reviewers = ['ines', 'jonas'] as const;

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

/**
 * Starts what the bench of the reconciler stands on: a platform as `quarterdeck up --profile dev` has it, on a data folder and ports of its
 * own, and a cluster whose machines are played. Nothing of it outlives `close`.
 */
export const startReconcilePlaces = async (
  root: string,
  config: Config,
  onLine: (text: string) => void,
): Promise<ReconcilePlaces & { folder: string; close(): Promise<void> }> => {
  const undo = createUndo();
  try {
    const folder = makeBenchFolder(root);
    undo.add(() => rmSync(folder, { recursive: true, force: true }));
    const images: Images = {};
    const cluster = await startCluster(kubernetesPrograms(), images);
    undo.add(cluster.close);
    const platform = await startPlatform({
      ...{ dataDirectory: join(folder, 'data'), port: await freeBasePort(), profile: 'dev', allowUncaged: false, config, onLine },
    });
    undo.add(platform.stop);
    const { apiUrl, adminToken = '', databaseUrl } = platform.ready;
    return {
      ...{ apiUrl, ownerToken: adminToken, cluster, images, folder, databaseUrl },
      reviewers: await seedReviewers(databaseUrl),
      close: undo.run,
    };
  } catch (error) {
    await undo.run();
    throw error;
  }
};
