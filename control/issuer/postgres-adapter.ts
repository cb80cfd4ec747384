import { type Adapter, type AdapterFactory, errors } from 'oidc-provider';
import type { Database } from '../../store/database.ts';
import { consumeIssuerRecord, deleteIssuerRecord, deleteOfGrant, findIssuerRecord, putIssuerRecord } from '../../store/issuer-records.ts';
import { faultOfClient } from './self-declared-client.ts';

type Payload = NonNullable<Awaited<ReturnType<Adapter['find']>>>;

type ClientPayload = {
  redirect_uris?: readonly string[] | undefined;
  grant_types?: readonly string[] | undefined;
  client_secret?: unknown;
};

const faultOfPayload = ({ redirect_uris = [], grant_types = [], client_secret }: ClientPayload): string | undefined =>
  faultOfClient({ redirectUris: redirect_uris, grantTypes: grant_types, secret: client_secret });

/**
 * The storage of the issuer where people log in: Postgres, shared by its replicas.
 * @param findClient - finds a client that was registered beforehand
 */
export const createPostgresAdapter =
  (database: Database, findClient: (id: string) => Promise<Record<string, unknown> | undefined>): AdapterFactory =>
  (model) => ({
    upsert: async (id, payload, expiresIn) => {
      const fault = model === 'Client' ? faultOfPayload(payload) : undefined;
      if (fault !== undefined) throw new errors.InvalidClientMetadata(fault);
      await putIssuerRecord(database, model, id, { ...payload }, expiresIn);
    },
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
