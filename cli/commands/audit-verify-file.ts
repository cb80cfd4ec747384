import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { isPlatformError } from '../../schema/errors.ts';
import { type AuditPublicKey, createAuditVerifier } from '../../store/audit-key.ts';
import { verifyExport } from '../../store/audit-verify-export.ts';
import { usageError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';
import type { Format } from '../output/format-option.ts';
import { print } from '../output/talk.ts';
import { verificationLines } from '../output/verification-text.ts';

const unreadable = (path: string, error: unknown): never => {
  throw usageError(
    `${path} cannot be read: ${(error as Error).message}`,
    'name a file that `quarterdeck audit export -o chain` has written',
  );
};

/** A public key in a file: a JWK, or the head of an export that is trusted. A private one is not told from its public half. */
const readKey = async (path: string): Promise<AuditPublicKey> => {
  const text = await readFile(path, 'utf8').catch((error) => unreadable(path, error));
  try {
    const [first = ''] = text.includes('"type":"head"') ? text.split('\n') : [text];
    const parsed = JSON.parse(first);
    const { kty, crv, x } = parsed.publicKey ?? parsed;
    createAuditVerifier({ kty, crv, x });
    return { kty, crv, x };
  } catch {
    throw usageError(`${path} is no public key`, 'give a JWK (OKP, Ed25519), or an earlier export that you trust');
  }
};

/** Verifies an exported chain without the platform: exit code 0, 1 with what is wrong, 2 for what is no export. */
export const verifyFile = async (path: string, keyPath: string | undefined, format: Format): Promise<void> => {
  const trusted = keyPath === undefined ? undefined : await readKey(keyPath);
  const input = createReadStream(path, 'utf8');
  const failed = new Promise<never>((_, reject) => input.once('error', reject));
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  const found = await Promise.race([verifyExport(lines, trusted), failed]).catch((error) => {
    if (isPlatformError(error) && error.code === 'input_invalid') throw usageError(`${path}: ${error.message}`);
    return unreadable(path, error);
  });
  if (format === 'json') print(JSON.stringify(found, undefined, 2));
  else {
    for (const line of verificationLines(found)) print(line);
    if (found.withheldRows > 0) print(`Of ${found.withheldRows} rows of other projects the export holds nothing but the digests.`);
    const key = `The key ${found.keyId}`;
    print(
      found.isOwnKey
        ? `${key} is the export's own: compare it with one that you trust, or name that with --key.`
        : `${key} is the one you trust.`,
    );
  }
  if (!found.ok) process.exitCode = exitCodes.error;
};
