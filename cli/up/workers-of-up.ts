import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { WorkersConfig } from '../../control/issuer/create-worker-check.ts';
import { makeJoinToken } from '../../control/issuer/join-token.ts';
import { PlatformError } from '../../schema/errors.ts';
import { type WorkerTrust, WorkerTrustSchema } from '../../schema/worker-proof.ts';
import type { Config } from '../config.ts';
import type { WorkerProofFile } from '../processes/process-configs.ts';

/** How the issuer knows the workers of a platform, and how its own one shows that it is one. */
export type WorkersOfUp = { trust: WorkersConfig; proof?: WorkerProofFile; makeJoinToken?: () => string };

const readTrust = (file: string): WorkerTrust => {
  const wrong = (what: string, cause?: unknown) =>
    new PlatformError('input_invalid', `The file ${file} (QUARTERDECK_WORKER_TRUST) cannot be used: ${what}.`, { cause });
  let content: unknown;
  try {
    content = parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw wrong('it is not there, or no YAML', cause);
  }
  const parsed = WorkerTrustSchema.safeParse(content);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw wrong(`${issue?.path.join('.') || 'it'}: ${issue?.message}`);
};

/**
 * On one machine the worker joins by tokens that its supervisor makes: their key is made anew at each start and is in no file. Where a proof
 * of somebody else's is configured (a service account, a SPIFFE id) that is the only way in, and nobody joins.
 * @throws {PlatformError} `input_invalid`
 */
export const workersOfUp = ({ workerTrustFile, workerProof }: Pick<Config, 'workerTrustFile' | 'workerProof'>): WorkersOfUp => {
  const trust = workerTrustFile === undefined ? {} : readTrust(workerTrustFile);
  if (workerProof === undefined) {
    const joinKey = randomBytes(32).toString('base64url');
    return { trust: { ...trust, joinKey }, makeJoinToken: () => makeJoinToken(joinKey) };
  }
  if (trust[workerProof.kind] === undefined)
    throw new PlatformError(
      'input_invalid',
      `QUARTERDECK_WORKER_PROOF names a proof by ${workerProof.kind}, which no file QUARTERDECK_WORKER_TRUST says how to check; set that too.`,
    );
  return { trust, proof: workerProof };
};
