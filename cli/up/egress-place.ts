import { chmodSync, chownSync, lchownSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from './unprivileged-account.ts';

/** Below the numbers that systems give to people, and in a range that distributions keep for programs. */
const firstUid = 64_741;
const rootGroup = 0;

/**
 * Chooses whom the egress process turns into: a number that no account of this system has, and nothing but its folder belongs to.
 * @param owner - of an existing folder; it goes on owning it
 * @param passwd - lines of /etc/passwd
 */
export const chooseEgressUid = (owner: number, passwd: string): number => {
  if (owner !== 0) return owner;
  const taken = new Set(passwd.split('\n').map((line) => Number(line.split(':')[2])));
  let uid = firstUid;
  while (taken.has(uid)) uid += 1;
  return uid;
};

/**
 * Makes the folder of the ways out. Where we are root the egress process owns it, under a user id of its own, and cages, which run as root
 * without any of its rights, reach its sockets as members of root's group, which whatever is made in the folder inherits.
 * @returns that user id; undefined where the process has to share ours
 */
export const prepareEgressFolder = (directory: string): Account | undefined => {
  mkdirSync(directory, { recursive: true, mode: 0o750 });
  if (process.getuid?.() !== 0) return undefined;
  const uid = chooseEgressUid(statSync(directory).uid, readFileSync('/etc/passwd', 'utf8'));
  const give = (path: string): void => {
    lchownSync(path, uid, rootGroup);
    if (statSync(path).isDirectory()) for (const name of readdirSync(path)) give(join(path, name));
  };
  for (const name of readdirSync(directory)) give(join(directory, name));
  chownSync(directory, uid, rootGroup);
  chmodSync(directory, 0o2750);
  return { uid, gid: uid };
};
