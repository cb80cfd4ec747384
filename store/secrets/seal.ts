import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import { derive, deriveRoot, formatRootKey, originalOf, parseRootKey, type RootKey, withOriginal } from './root-key.ts';
import { rootKeyNow } from './root-versions.ts';

/** What is sealed names no key (1), or begins with the id of the one that it was sealed with (2). */
const withoutId = 1;
const withId = 2;
const idBytes = 8;
const nonceBytes = 12;
const tagBytes = 16;

/** A key that others come after; `id` is 16 hexadecimal digits. */
export type SealingKey = { id: string; bytes: Buffer };
/** The keys that seal in turn: the one of now, none as long as there was no rotation, and those that still open what they sealed. */
export type SealingRing = { current(): SealingKey | undefined; find(id: string): Buffer | undefined; opensOriginal(): boolean };

/**
 * Keys made from one master key: one to encrypt, one to name contents by a digest that nobody else can compute. Where they rotate, `ring`
 * seals in the place of the first, which then opens what is from before; names by digest stay as they are.
 */
export type ContentKeys = { encryption: Buffer; digest: Buffer; ring?: SealingRing };

/**
 * A key for one purpose, for a process that is not to have the master key itself.
 * @param master - a root key, see `parseRootKey`
 * @returns one again, of as many versions
 */
export const deriveKey = (master: string, purpose: string): string =>
  formatRootKey(deriveRoot(parseRootKey(master), purpose)).replaceAll('\n', ' ');

/** Versions seal in turn as rotated keys do: what the first one seals names it, and the others open what they have sealed. */
const versionRing = (master: string, purpose: string): SealingRing => {
  let root: RootKey | undefined;
  let keys: SealingKey[] = [];
  const look = (): RootKey => {
    const now = rootKeyNow(master);
    if (now === root) return root;
    root = now;
    keys = now.versions.flatMap(({ id, bytes }) => (id === undefined ? [] : [{ id, bytes: derive(bytes, `${purpose}/encryption`) }]));
    return now;
  };
  const find = (wanted: string | undefined): SealingKey | undefined => keys.find(({ id }) => id === wanted);
  return {
    current: () => find(look().versions[0]?.id),
    find: (id) => {
      look();
      return find(id)?.bytes;
    },
    opensOriginal: () => originalOf(look()) !== undefined,
  };
};

/**
 * Keys for one purpose out of a root key, which follow the versions that it gets while the process runs (`takeUpRootKeys`).
 * @param master - as kept in the data folder or a secret store: 32 bytes in base64, or several versions of it
 */
export const deriveContentKeys = (master: string, purpose: string): ContentKeys => {
  const root = rootKeyNow(master);
  const [newest] = root.versions;
  const oldest = (originalOf(root) ?? newest)?.bytes as Buffer;
  return {
    encryption: derive(oldest, `${purpose}/encryption`),
    digest: root.names.get(purpose) ?? derive(oldest, `${purpose}/digest`),
    ring: versionRing(master, purpose),
  };
};

/** The key that wraps those of orgs, made from the installation's. */
export const wrappingKeys = ({ encryption, ring }: ContentKeys): ContentKeys => {
  const of = (bytes: Buffer): Buffer => derive(bytes, 'org-keys');
  const bytes = of(encryption);
  if (!ring) return { encryption: bytes, digest: bytes };
  const found = (id: string): Buffer | undefined => {
    const key = ring.find(id);
    return key && of(key);
  };
  const current = (): SealingKey | undefined => {
    const key = ring.current();
    return key && { id: key.id, bytes: of(key.bytes) };
  };
  return { encryption: bytes, digest: bytes, ring: { current, find: found, opensOriginal: ring.opensOriginal } };
};

/** The key that gateway and api share: it opens calls that wait for an approval, and nothing else of the gateway's. */
export const approvalKeyOf = (gatewayKey: string): string => deriveKey(gatewayKey, 'approvals/encryption');
/** The keys of approvals out of the gateway's own key, or in the api out of the shared one: `deriveContentKeys(shared, 'approvals')`. */
export const approvalKeysOf = (gatewayKey: string): ContentKeys => deriveContentKeys(approvalKeyOf(gatewayKey), 'approvals');

/** A key for one purpose that is one word, though what it is made from has several versions: of the original, or else the newest. */
const soleKey = (master: string, purpose: string): string => {
  const root = parseRootKey(master);
  return derive((originalOf(root) ?? root.versions[0])?.bytes as Buffer, purpose).toString('base64');
};
/** By which the issuer knows the gateway when that asks for credentials of servers; made from the gateway's own key. */
export const credentialKeyOf = (gatewayKey: string): string => soleKey(gatewayKey, 'credentials/gateway');
/** By which redactors call equal secrets the same. */
export const redactionKeyOf = (contentKey: string): string => soleKey(contentKey, 'redaction');

/** The first key that private keys of the issuer are sealed with, made from a secret that the control plane alone has. @returns 32 bytes in base64 */
export const signingKeysSealOf = (secret: string): string => derive(Buffer.from(secret), 'signing-keys/seal').toString('base64');
/** What the codes of devices are sealed with: made from the issuer's key, but the first one from what signs its cookies, as it always was. */
export const deviceCodeKeyOf = (issuerKey: string, cookieKey: string): string => {
  const first = createHash('sha256').update(cookieKey).digest();
  return formatRootKey(withOriginal(deriveRoot(parseRootKey(issuerKey), 'device-codes'), first)).replaceAll('\n', ' ');
};

/** Whether something stands on another version of a root key than the one that wraps now. */
export const isWrappedByOther = ({ ring }: ContentKeys, wrapped: Buffer): boolean => sealedWith(wrapped) !== ring?.current()?.id;

/** The same for one purpose out of a key that serves several. */
export const deriveSealingKey = (bytes: Buffer, purpose: string): Buffer => derive(bytes, `${purpose}/encryption`);

/** The id of the key that a text was sealed with; undefined for the original key, which has none. */
export const sealedWith = (sealed: Buffer): string | undefined =>
  sealed[0] === withId ? sealed.subarray(1, 1 + idBytes).toString('hex') : undefined;

/** Encrypts with AES-256-GCM; `context` (tenant and place) is authenticated, so a row moved elsewhere does not open. */
export const seal = (keys: ContentKeys, plain: Buffer, context: string): Buffer => {
  const current = keys.ring?.current();
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', current?.bytes ?? keys.encryption, nonce).setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  const head = current ? Buffer.concat([Buffer.from([withId]), Buffer.from(current.id, 'hex')]) : Buffer.from([withoutId]);
  return Buffer.concat([head, nonce, cipher.getAuthTag(), body]);
};

const openingKey = (keys: ContentKeys, sealed: Buffer): { key: Buffer; rest: Buffer } => {
  const id = sealedWith(sealed);
  if (id !== undefined) {
    const key = keys.ring?.find(id);
    if (!key) throw new Error(`no key ${id}`);
    return { key, rest: sealed.subarray(1 + idBytes) };
  }
  if (sealed[0] !== withoutId) throw new Error('unknown version');
  if (keys.ring?.opensOriginal() === false) throw new Error('the original key is retired');
  return { key: keys.encryption, rest: sealed.subarray(1) };
};

/** Opens what `seal` made; anything altered, moved or made with another key is refused. */
export const unseal = (keys: ContentKeys, sealed: Buffer, context: string): Buffer => {
  try {
    const { key, rest } = openingKey(keys, sealed);
    const nonce = rest.subarray(0, nonceBytes);
    const tag = rest.subarray(nonceBytes, nonceBytes + tagBytes);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes }).setAAD(Buffer.from(context)).setAuthTag(tag);
    return Buffer.concat([decipher.update(rest.subarray(nonceBytes + tagBytes)), decipher.final()]);
  } catch (cause) {
    throw new PlatformError('secret_unavailable', 'A stored document does not open with the content key of this installation.', { cause });
  }
};

/** Names a content by a keyed digest: equal texts meet, and a guess cannot be confirmed by who reads the history. */
export const keyedDigest = (keys: ContentKeys, plain: Buffer): string =>
  `hmac-sha256:${createHmac('sha256', keys.digest).update(plain).digest('hex')}`;
