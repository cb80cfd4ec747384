import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { say } from './talk.mjs';

const pollMs = 200;
const heartbeatMs = 5_000;
/** A lock that nobody touched for so long is left over, also when another program has got its owner's process id since. */
const staleAfterMs = 60_000;

/**
 * Runs `work` while no other process of this user does the same, and waits for one that does. A lock left by a process that was
 * killed is taken over.
 * @param folder - the lock; its parent is made, it itself exists only while it is held
 * @param waitingFor - what the other process is doing, for the line shown once while waiting
 * @param work - async; the lock is released when it settles
 */
export const withLock = async (folder, waitingFor, work) => {
  mkdirSync(dirname(folder), { recursive: true });
  const owner = { pid: process.pid, host: hostname(), token: randomUUID() };
  for (let said = false; !take(folder, owner); ) {
    if (!removeIfStale(folder)) {
      if (!said) say(`waiting: another process is ${waitingFor} (lock ${folder})`);
      said = true;
      await sleep(pollMs);
    }
  }
  const heartbeat = setInterval(() => touch(folder), heartbeatMs);
  const release = () => readOwner(folder)?.token === owner.token && rmSync(folder, { recursive: true, force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    process.off('exit', release);
    release();
  }
};

const take = (folder, owner) => {
  try {
    mkdirSync(folder); // atomic: exactly one process makes it
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
  writeFileSync(join(folder, 'owner.json'), JSON.stringify(owner));
  return true;
};

const readOwner = (folder) => {
  try {
    return JSON.parse(readFileSync(join(folder, 'owner.json'), 'utf8'));
  } catch {
    return undefined; // just made or just gone
  }
};

const touch = (folder) => {
  try {
    utimesSync(folder, new Date(), new Date());
  } catch {
    // released meanwhile
  }
};

const isStale = (folder, owner) => {
  try {
    if (Date.now() - statSync(folder).mtimeMs > staleAfterMs) return true;
  } catch {
    return false;
  }
  return owner !== undefined && owner.host === hostname() && !isAlive(owner.pid);
};

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
};

const removeIfStale = (folder) => {
  const owner = readOwner(folder);
  if (!isStale(folder, owner)) return false;
  const aside = `${folder}.${randomUUID()}`;
  try {
    renameSync(folder, aside); // of several that see it stale, one gets it
    // Between the look and the rename another process may have taken over already: its fresh lock goes back.
    if (readOwner(aside)?.token !== owner?.token) renameSync(aside, folder);
    else rmSync(aside, { recursive: true, force: true });
  } catch {
    return false;
  }
  return true;
};
