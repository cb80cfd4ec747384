import type { Database } from './database.ts';
import { claimIssuerRecord } from './issuer-records.ts';

/**
 * Uses up a proof of possession (RFC 9449 §11.1), for all replicas of whoever asked for it.
 * @param where - at what kind of place it was shown: a proof names its URL, so one place is not another
 * @param forSeconds - how long it could be shown again
 * @returns false when it was used before: of many at once one comes first
 */
export const useTokenProof = (
  database: Database,
  where: 'issuer' | 'resource',
  { thumbprint, id }: { thumbprint: string; id: string },
  forSeconds: number,
): Promise<boolean> => claimIssuerRecord(database, 'TokenProof', `${where} ${thumbprint} ${id}`, forSeconds);
