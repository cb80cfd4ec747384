import type { WorkerKey, WorkerKeys } from '../../store/worker-keys.ts';

/** Keeps which workers joined in memory; passes the same test as the real one (test/store/worker-keys.test.ts). */
export const createMemoryWorkerKeys = (): WorkerKeys => {
  const used = new Set<string>();
  const keys = new Map<string, WorkerKey>();
  return {
    useOnce: async (kind, id) => {
      const isFirst = !used.has(`${kind} ${id}`);
      used.add(`${kind} ${id}`);
      return isFirst;
    },
    put: async (thumbprint, key) => void keys.set(thumbprint, key),
    find: async (thumbprint) => keys.get(thumbprint),
  };
};
