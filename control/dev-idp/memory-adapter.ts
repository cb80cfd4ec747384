import type { AdapterFactory, AdapterPayload } from 'oidc-provider';

const mostRecords = 10_000;

/** Records of the login provider of this machine: in memory, each until its time is over; after a restart people log in again. */
export const createMemoryAdapter = (): AdapterFactory => {
  const records = new Map<string, { payload: AdapterPayload; until: number }>();

  const find = (key: string): AdapterPayload | undefined => {
    const record = records.get(key);
    if (record === undefined || record.until > Date.now()) return record?.payload;
    records.delete(key);
    return undefined;
  };
  const keep = (key: string, payload: AdapterPayload, lifetimeSeconds = 600): void => {
    records.delete(key);
    records.set(key, { payload, until: Date.now() + lifetimeSeconds * 1000 });
    // a Map keeps the order of insertion, so the first one is the oldest
    if (records.size > mostRecords) records.delete(records.keys().next().value as string);
  };

  return (model) => ({
    upsert: async (id, payload, expiresIn) => {
      keep(`${model}/${id}`, payload, expiresIn);
      if (typeof payload.uid === 'string') keep(`${model}/uid/${payload.uid}`, payload, expiresIn);
    },
    find: async (id) => find(`${model}/${id}`),
    findByUid: async (uid) => find(`${model}/uid/${uid}`),
    findByUserCode: async () => undefined,
    consume: async (id) => {
      const payload = find(`${model}/${id}`);
      if (payload) payload.consumed = Math.floor(Date.now() / 1000);
    },
    destroy: async (id) => {
      const uid = find(`${model}/${id}`)?.uid;
      records.delete(`${model}/${id}`);
      if (uid !== undefined) records.delete(`${model}/uid/${uid}`);
    },
    revokeByGrantId: async (grantId) => {
      for (const [key, { payload }] of records) if (key.startsWith(`${model}/`) && payload.grantId === grantId) records.delete(key);
    },
  });
};
