import { type Adapter, type AdapterFactory, errors } from 'oidc-provider';
import type { Database } from '../../store/database.ts';
import { consumeIssuerRecord, deleteIssuerRecord, deleteOfGrant, findIssuerRecord, putIssuerRecord } from '../../store/issuer-records.ts';

type Payload = NonNullable<Awaited<ReturnType<Adapter['find']>>>;

/**
 * The storage of the issuer where people log in: Postgres, shared by its replicas.
 * @param findClient - finds a client that was registered beforehand
 */
export const createPostgresAdapter =
  (database: Database, findClient: (id: string) => Promise<Record<string, unknown> | undefined>): AdapterFactory =>
  (model) => ({
    upsert: (id, payload, expiresIn) => putIssuerRecord(database, model, id, { ...payload }, expiresIn),
    find: async (id) => {
      const declared = model === 'Client' ? await findClient(id) : undefined;
      return (declared ?? (await findIssuerRecord(database, model, { value: id }))) as Payload | undefined;
    },
    findByUid: async (uid) => (await findIssuerRecord(database, model, { uid })) as Payload | undefined,
    // the device grant is not offered
    findByUserCode: async () => undefined,
    consume: async (id) => {
      // the library looked a moment ago; whoever comes second of two must not get tokens too
      if (!(await consumeIssuerRecord(database, model, id))) throw new errors.InvalidGrant('it was used already');
    },
    destroy: (id) => deleteIssuerRecord(database, model, id),
    revokeByGrantId: (grantId) => deleteOfGrant(database, model, grantId),
  });
