import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { findOnPath } from '../setup/find-on-path.mjs';
import { cannotStart } from './cannot-start.ts';
import type { Command } from './command.ts';

/** A system account by its numbers. */
export type Account = { uid: number; gid: number };

/** Capabilities that let a process pass closed folders, the weaker one first; by their bit (linux/capability.h). */
const passingCapabilities = [
  { name: 'dac_read_search', bit: 2n },
  { name: 'dac_override', bit: 1n },
];

/**
 * Chooses who runs Postgres, which refuses to run as root. Its programs look their account up by name, so it has to be a known one.
 * @param options.folder - an existing data folder; its owner goes on owning it
 * @param options.passwd - lines of /etc/passwd
 * @returns undefined where we are not root: then it is our own account
 */
export const chooseAccount = ({
  folder,
  uid = process.getuid?.(),
  passwd = () => readFileSync('/etc/passwd', 'utf8'),
}: {
  folder?: string;
  uid?: number | undefined;
  passwd?: () => string;
} = {}): Account | undefined => {
  if (uid !== 0) return undefined;
  const owner = folder === undefined ? undefined : statSync(folder, { throwIfNoEntry: false });
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const accounts = passwd()
    .split('\n')
    .map((line) => line.split(':'));
  const found = ['postgres', 'nobody'].map((name) => accounts.find((account) => account[0] === name)).find((account) => account?.[3]);
  if (!found) throw cannotStart('Postgres does not run as root, and this system has no account for it: run `useradd --system postgres`.');
  return { uid: Number(found[2]), gid: Number(found[3]) };
};

/** Whether an account may walk down to a place; by the mode of each folder, as the kernel does (access lists are not read). */
export const mayReach = (place: string, { uid, gid }: Account): boolean => {
  for (let folder = resolve(place); ; folder = dirname(folder)) {
    const status = statSync(folder, { throwIfNoEntry: false });
    if (status?.isDirectory()) {
      const bit = status.uid === uid ? 0o100 : status.gid === gid ? 0o010 : 0o001;
      if ((status.mode & bit) === 0) return false;
    }
    if (folder === dirname(folder)) return true;
  }
};

const boundingCapabilities = (): bigint => {
  const line = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return BigInt(`0x${line?.[1] ?? '0'}`);
};

/**
 * Makes a command run under an account. Where a folder on the way is closed to it (below /root, say), the process gets the one
 * capability that lets it pass, and nothing else of root.
 * @param places - folders and programs it has to reach
 * @throws {PlatformError} `input_invalid` where it cannot be let through
 */
export const runAs = (account: Account | undefined, command: Command, places: readonly string[]): Command => {
  if (account === undefined) return command;
  const { uid, gid } = account;
  const closed = places.find((place) => !mayReach(place, account));
  if (closed === undefined) return { ...command, uid, gid };
  const setpriv = findOnPath('setpriv');
  const capability = setpriv && passingCapabilities.find(({ bit }) => (boundingCapabilities() >> bit) & 1n)?.name;
  if (setpriv === undefined || capability === undefined)
    throw cannotStart(
      `Postgres runs as user ${uid}, which cannot reach ${closed}: put the data and this program where it can, such as \`--data /var/lib/quarterdeck\`.`,
    );
  const drop = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', `--inh-caps=+${capability}`, `--ambient-caps=+${capability}`];
  return { ...command, file: setpriv, args: [...drop, command.file, ...command.args] };
};
