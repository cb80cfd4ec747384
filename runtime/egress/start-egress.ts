import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import type { EgressParts } from './egress-parts.ts';
import { createHostContexts } from './host-contexts.ts';
import { folderFiles, folderNameOf, type ReachableServer } from './reachable-server.ts';
import { createServerProxy, type ServerProxy } from './server-proxy.ts';

/** Who may connect: the owner, and the group that cages belong to where that is another one. */
const socketMode = 0o660;
const folderMode = 0o750;
const fileMode = 0o640;

export type Egress = {
  /** Takes over which servers may reach what; those that are not named any more reach nothing. */
  update(servers: readonly ReachableServer[]): Promise<void>;
  close(): Promise<void>;
};

type Served = { server: ReachableServer; proxy: ServerProxy };

/**
 * Starts the outbound proxy of caged servers. Each server that may reach anything gets a folder of its own, which its cages see: the socket
 * of its proxy, and the certificates that clients there are to trust.
 *
 * A cage has no network; the socket is its only way out. What goes through is decided by exact host and port, by the address that the name
 * had when it was looked up, and by the host that TLS names; it is put on record before anything is connected to.
 * @param folder - for those folders; it is emptied
 */
export const startEgress = async (folder: string, parts: EgressParts): Promise<Egress> => {
  const { authority, authorities, logger } = parts;
  const contextOf = createHostContexts(authority, parts.now);
  const served = new Map<string, Served>();
  const ours = [authority.certificate, ...authorities, ...getCACertificates('extra')].join('\n');
  const all = [authority.certificate, ...authorities, ...getCACertificates('default')].join('\n');
  let turn: Promise<void> = Promise.resolve();

  // Cages that outlived an earlier process still see these folders: they stay, and so works what is put into them anew.
  for (const name of await readdir(folder)) await rm(join(folder, name, folderFiles.socket), { force: true });

  const serve = async (name: string, server: ReachableServer): Promise<void> => {
    const place = join(folder, name);
    // where the folder around it hands its group on, this one does too
    await mkdir(place, { recursive: true, mode: folderMode });
    await writeFile(join(place, folderFiles.authority), ours, { mode: fileMode });
    await writeFile(join(place, folderFiles.bundle), all, { mode: fileMode });
    const proxy = createServerProxy(server, parts, contextOf);
    const socket = join(place, folderFiles.socket);
    await rm(socket, { force: true });
    await proxy.listen(socket);
    await chmod(socket, socketMode);
    served.set(name, { server, proxy });
    logger.info({ event: 'egress-opened', server: server.server, rules: server.rules.length }, 'a server may reach hosts');
  };

  const stop = async (name: string): Promise<void> => {
    const found = served.get(name);
    served.delete(name);
    await found?.proxy.close();
    await rm(join(folder, name), { recursive: true, force: true });
  };

  const update = async (servers: readonly ReachableServer[]): Promise<void> => {
    const wanted = new Map(servers.map((server) => [folderNameOf(server), server]));
    for (const name of new Set([...served.keys(), ...(await readdir(folder))])) if (!wanted.has(name)) await stop(name);
    for (const [name, server] of wanted) {
      const found = served.get(name);
      if (!found) await serve(name, server);
      else if (JSON.stringify(found.server) !== JSON.stringify(server)) {
        found.proxy.update(server);
        served.set(name, { ...found, server });
      }
    }
  };

  return {
    update: (servers) => {
      turn = turn.then(
        () => update(servers),
        () => update(servers),
      );
      return turn;
    },
    close: async () => {
      await turn.catch(() => undefined);
      await Promise.all(
        [...served].map(([name, { proxy }]) => proxy.close().then(() => rm(join(folder, name, folderFiles.socket), { force: true }))),
      );
    },
  };
};
