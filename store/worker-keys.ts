import { z } from 'zod';
import type { Database } from './database.ts';
import { claimIssuerRecord, findIssuerRecord, putIssuerRecord } from './issuer-records.ts';

const WorkerKeySchema = z.object({ jwk: z.record(z.string(), z.unknown()), tier: z.string() });
/** Public key of a worker that joined, and the trust tier it joined for. */
export type WorkerKey = z.infer<typeof WorkerKeySchema>;

/** Where the issuer keeps which workers joined, and what of them was used up. Shared by its replicas. */
export const createWorkerKeys = (database: Database) => ({
  /** Uses the id of a join token or a proof up. @returns false when somebody did before */
  useOnce: (kind: 'WorkerJoin' | 'WorkerProof', id: string, lifetimeSeconds: number): Promise<boolean> =>
    claimIssuerRecord(database, kind, id, lifetimeSeconds),
  /** @param thumbprint - of the key (RFC 7638) */
  put: (thumbprint: string, key: WorkerKey, lifetimeSeconds: number): Promise<void> =>
    putIssuerRecord(database, 'WorkerKey', thumbprint, key, lifetimeSeconds),
  find: async (thumbprint: string): Promise<WorkerKey | undefined> => {
    const found = await findIssuerRecord(database, 'WorkerKey', { value: thumbprint });
    return found && WorkerKeySchema.parse(found);
  },
});
export type WorkerKeys = ReturnType<typeof createWorkerKeys>;
