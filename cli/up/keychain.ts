import { type ChildProcess, execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { PlatformError } from '../../schema/errors.ts';
import type { KeychainAnswer, KeychainQuestion } from '../processes/messages.ts';

const run = promisify(execFile);

/** All entries of ours are of this service, so that no reference reaches what else a person keeps there. */
const service = 'quarterdeck';
const accountPattern = /^[a-z0-9-]+\/[a-z0-9-]+\/[a-z0-9-]+$/;
const timeoutMs = 25_000;

/** The keychain's own command on each system; the account is no secret, and the value comes on stdout. */
const commandOf = (platform: NodeJS.Platform, account: string): [string, string[]] | undefined => {
  if (platform === 'darwin') return ['security', ['find-generic-password', '-s', service, '-a', account, '-w']];
  if (platform === 'linux') return ['secret-tool', ['lookup', 'service', service, 'account', account]];
  return undefined;
};

/** How a person puts an entry there. */
const storeHint = (platform: NodeJS.Platform, account: string): string =>
  platform === 'darwin'
    ? `security add-generic-password -s ${service} -a ${account} -w`
    : `secret-tool store --label=${account} service ${service} account ${account}`;

/**
 * Reads an entry of the keychain: macOS Keychain, or libsecret's service on Linux.
 * @param account - `org/project/entry`
 * @returns the value, or a sentence that says what is missing
 */
export const readKeychain = async (
  account: string,
  environment: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform = process.platform,
): Promise<{ value: string } | { failure: string }> => {
  const command = accountPattern.test(account) ? commandOf(platform, account) : undefined;
  if (!command) return { failure: 'There is no keychain that Quarterdeck knows on this system.' };
  const [file, args] = command;
  try {
    const { stdout } = await run(file, args, { env: { ...environment }, timeout: timeoutMs, maxBuffer: 1 << 20, encoding: 'utf8' });
    const value = stdout.replace(/\r?\n$/, '');
    if (value !== '') return { value };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return {
        failure: `The keychain cannot be read: the command ${file} is not installed${platform === 'linux' ? ' (package libsecret-tools)' : ''}.`,
      };
  }
  return { failure: `The keychain has no entry ${account}, or is locked; store it with \`${storeHint(platform, account)}\`.` };
};

/** The same as a look-up of the supervisor itself. @throws {PlatformError} `secret_unavailable` */
export const lookUpKeychain = async (account: string, environment: Readonly<Record<string, string | undefined>>): Promise<string> => {
  const found = await readKeychain(account, environment);
  if ('value' in found) return found.value;
  throw new PlatformError('secret_unavailable', found.failure);
};

/** Answers a process of ours over its channel. */
export const answerKeychain = async (
  child: Pick<ChildProcess, 'send' | 'connected'>,
  { id, account }: KeychainQuestion,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<void> => {
  const found = await readKeychain(account, environment);
  const answer: KeychainAnswer = { type: 'keychain', id, ...found };
  if (child.connected) child.send(answer, () => undefined);
};
