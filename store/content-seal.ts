import type { Tenancy } from '../schema/ids.ts';
import type { OrgKeys } from './org-keys.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

type Place = Tenancy & { digest: string };

/** What is bound to a sealed document: its purpose, tenant, name and key, so that one that was moved to another row does not open. */
const contextOf = ({ org, project, digest }: Place, keyId: string): string => `contents/${keyId}/${org}/${project}/${digest}`;
const asKeys = (bytes: Buffer): ContentKeys => ({ encryption: bytes, digest: bytes });

export const sealContent = (key: { id: string; bytes: Buffer }, plain: Buffer, place: Place): Buffer =>
  seal(asKeys(key.bytes), plain, contextOf(place, key.id));

/**
 * Opens a document with the key that it names; one from before orgs had keys names none, and opens with the installation's.
 * @throws {PlatformError} `secret_unavailable`
 */
export const openContent = async (
  { keys, ring }: { keys: ContentKeys; ring: OrgKeys },
  row: Place & { sealed: Buffer; keyId: string | null },
): Promise<Buffer> => {
  if (row.keyId === null) return unseal(keys, row.sealed, `${row.org}/${row.project}/${row.digest}`);
  const key = await ring.byId(row.org, row.keyId);
  return unseal(asKeys(key.bytes), row.sealed, contextOf(row, key.id));
};
