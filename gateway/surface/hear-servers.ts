import { isPerRun, type RunOfServer } from '../mcp/launch-of.ts';
import type { Listening, McpServer, UpstreamPool } from '../upstream/upstream-pool.ts';

type Ear = {
  server: McpServer;
  run: RunOfServer | undefined;
  uses: number;
  listening: Listening | undefined;
  state: 'opening' | 'open' | 'failed';
};

/**
 * Listens to servers for as long as somebody has a use for it, once for all who have: says which server's list of resources is another
 * now. What tools, prompts and templates a server has is told by the pins, not here.
 */
export const createHearing = ({
  pool,
  onResources,
}: {
  pool: Pick<UpstreamPool, 'listen'>;
  onResources: (server: McpServer, run: RunOfServer | undefined) => void;
}) => {
  const ears = new Map<string, Ear>();

  const open = async (key: string, ear: Ear): Promise<void> => {
    const { server, run } = ear;
    ear.state = 'opening';
    try {
      const listening = await pool.listen(server, run, { lists: true }, ({ method }) => {
        if (method === 'notifications/resources/list_changed') onResources(server, run);
      });
      if (ears.get(key) === ear) Object.assign(ear, { listening, state: 'open' });
      else listening.close();
    } catch {
      // tried again when the server is heard of
      ear.state = 'failed';
    }
  };

  return {
    /** @returns what to give back by `release`; undefined where there is nothing to listen to */
    acquire: (server: McpServer, run: RunOfServer | undefined): string | undefined => {
      const isOfRun = isPerRun(server);
      if (isOfRun && !run) return undefined;
      const key = `${server.uid}@${server.generation} ${isOfRun ? run?.runId : ''}`;
      const known = ears.get(key);
      if (known) known.uses += 1;
      else {
        const ear: Ear = { server, run: isOfRun ? run : undefined, uses: 1, listening: undefined, state: 'opening' };
        ears.set(key, ear);
        void open(key, ear);
      }
      return key;
    },
    release: (key: string): void => {
      const ear = ears.get(key);
      if (!ear) return;
      ear.uses -= 1;
      if (ear.uses > 0) return;
      ears.delete(key);
      ear.listening?.close();
    },
    /** Something is heard of a server: what could not be opened before is tried again. */
    retry: (server: McpServer): void => {
      for (const [key, ear] of ears) if (ear.state === 'failed' && ear.server.uid === server.uid) void open(key, ear);
    },
    close: (): void => {
      for (const { listening } of ears.values()) listening?.close();
      ears.clear();
    },
  };
};
