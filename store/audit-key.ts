import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { PlatformError } from '../schema/errors.ts';

/** A private key that signs checkpoints, as JWK (RFC 8037): Ed25519. */
export type AuditKeyJwk = { kty: 'OKP'; crv: 'Ed25519'; x: string; d: string };

export const makeAuditKey = (): AuditKeyJwk => {
  const { x = '', d = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return { kty: 'OKP', crv: 'Ed25519', x, d };
};

/** The public half of the key, as JWK (RFC 8037). */
export type AuditPublicKey = Omit<AuditKeyJwk, 'd'>;
/** Checks what was signed; all that is needed for it is public. */
export type AuditVerifier = { keyId: string; publicKey: AuditPublicKey; verifies(statement: string, signature: string): boolean };
export type AuditSigner = AuditVerifier & { sign(statement: string): string };

/** The thumbprint of RFC 7638, short. */
const keyIdOf = (x: string): string =>
  createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url').slice(0, 16);

const verifierOf = (key: KeyObject, x: string): AuditVerifier => ({
  keyId: keyIdOf(x),
  publicKey: { kty: 'OKP', crv: 'Ed25519', x },
  verifies: (statement, signature) => verify(null, Buffer.from(statement), key, Buffer.from(signature, 'base64url')),
});

/** @throws {PlatformError} `input_invalid` for what is no such key */
export const createAuditVerifier = ({ kty, crv, x }: AuditPublicKey): AuditVerifier => {
  try {
    return verifierOf(createPublicKey({ key: { kty, crv, x }, format: 'jwk' }), x);
  } catch (cause) {
    throw new PlatformError('input_invalid', 'The public key of the checkpoints is no Ed25519 key in JWK form.', { cause });
  }
};

/** @throws {PlatformError} `secret_unavailable` for what is no such key */
export const createAuditSigner = (jwk: AuditKeyJwk): AuditSigner => {
  try {
    const key = createPrivateKey({ key: jwk, format: 'jwk' });
    return {
      ...verifierOf(createPublicKey(key), jwk.x),
      sign: (statement) => sign(null, Buffer.from(statement), key).toString('base64url'),
    };
  } catch (cause) {
    throw new PlatformError(
      'secret_unavailable',
      'The key that signs checkpoints of the audit is damaged; put its file back from a backup.',
      {
        cause,
      },
    );
  }
};
