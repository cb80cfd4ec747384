import { clientTable } from './client-table.ts';
import { readConfigFile } from './config-file.ts';
import { type Addition, findAddition } from './config-format.ts';
import type { Connection } from './connect-client.ts';
import { routeOfEntry } from './route-of-entry.ts';

export type ListedConnection = { client: string; path: string; server?: string; to?: string };

/** Every server in a client's file that leads to a gateway of ours; a client without one is listed with its file alone. */
export const listConnections = async (connectionOf: (clientName: string) => Connection): Promise<ListedConnection[]> => {
  const lists = clientTable.map(async (client): Promise<ListedConnection[]> => {
    const { scope, places } = connectionOf(client.name);
    const { path, text = '' } = await readConfigFile(client.fileOf(scope, places));
    const [server] = client.additions('', { kind: 'http', url: '', tokenVariable: '' }) as [Addition];
    const data = client.format.read(text, path);
    const names = Object.keys((data[server.container] ?? {}) as object);
    const found = names.flatMap((name) => {
      const route = routeOfEntry(client, name, findAddition(data, { ...server, name }));
      const to = route?.kind === 'http' ? route.url : route && [route.command, ...route.args].join(' ');
      return to === undefined ? [] : [{ client: client.name, path, server: name, to }];
    });
    return found.length > 0 ? found : [{ client: client.name, path }];
  });
  return (await Promise.all(lists)).flat();
};
