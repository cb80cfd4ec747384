import { type Adapter, type AdapterFactory, errors } from 'oidc-provider';
import { usedProofSeconds } from '../../policy/check-token-proof.ts';
import type { Database } from '../../store/database.ts';
import {
  claimIssuerRecord,
  consumeIssuerRecord,
  deleteIssuerRecord,
  deleteOfGrant,
  findIssuerRecord,
  putIssuerRecord,
} from '../../store/issuer-records.ts';
import { deriveContentKeys, seal, unseal } from '../../store/secrets/seal.ts';
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
 * @param sealingKey - what the database does not have; seals the codes of devices (`deviceCodeKeyOf`)
 */
export const createPostgresAdapter = (
  database: Database,
  findClient: (id: string) => Promise<Record<string, unknown> | undefined>,
  sealingKey: string,
): AdapterFactory => {
  const keys = deriveContentKeys(sealingKey, 'issuer-records');
  // a device's own code is found again by the short one that people enter, so it is kept: sealed, since it lets the device in
  const close = (code: string): string => seal(keys, Buffer.from(code), 'device-code').toString('base64');
  const open = (sealed: unknown): string => unseal(keys, Buffer.from(String(sealed), 'base64'), 'device-code').toString('utf8');

  const kept = (model: string, id: string, payload: Payload): Record<string, unknown> => {
    const { deviceCode, ...rest } = payload as Record<string, unknown>;
    if (model === 'DeviceCode') return { ...payload, uid: rest.userCode, sealedCode: close(id) };
    return typeof deviceCode === 'string' ? { ...rest, sealedCode: close(deviceCode) } : { ...payload };
  };
  const opened = (model: string, payload: Record<string, unknown> | undefined): Payload | undefined => {
    if (payload?.sealedCode === undefined) return payload as Payload | undefined;
    const { sealedCode, ...rest } = payload;
    if (model !== 'DeviceCode') return { ...rest, deviceCode: open(sealedCode) } as Payload;
    const { uid: _shortCode, ...deviceCode } = rest;
    return { ...deviceCode, jti: open(sealedCode) } as Payload;
  };

  return (model) => ({
    upsert: async (id, payload, expiresIn) => {
      const fault = model === 'Client' ? faultOfPayload(payload) : undefined;
      if (fault !== undefined) throw new errors.InvalidClientMetadata(fault);
      // the library looked a moment ago; of two that show the same proof at once one comes second
      if (model === 'ReplayDetection' && !(await claimIssuerRecord(database, model, id, expiresIn ?? usedProofSeconds)))
        throw new errors.InvalidGrant('the proof was used before');
      if (model === 'ReplayDetection') return;
      await putIssuerRecord(database, model, id, kept(model, id, payload), expiresIn);
    },
    find: async (id) => {
      const declared = model === 'Client' ? await findClient(id) : undefined;
      return (declared as Payload | undefined) ?? opened(model, await findIssuerRecord(database, model, { value: id }));
    },
    findByUid: async (uid) => opened(model, await findIssuerRecord(database, model, { uid })),
    findByUserCode: async (userCode) => opened(model, await findIssuerRecord(database, model, { uid: userCode })),
    consume: async (id) => {
      // the library looked a moment ago; whoever comes second of two must not get tokens too
      if (!(await consumeIssuerRecord(database, model, id))) throw new errors.InvalidGrant('it was used already');
    },
    destroy: (id) => deleteIssuerRecord(database, model, id),
    revokeByGrantId: (grantId) => deleteOfGrant(database, model, grantId),
  });
};
