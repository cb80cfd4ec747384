import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/**
 * Makes a folder for one run of a benchmark, named after this process, and takes away those that killed runs have left.
 * @param root - made if it is missing; it should lie on the disk that the platform would write to
 */
export const makeBenchFolder = (root: string): string => {
  mkdirSync(root, { recursive: true, mode: 0o711 }); // Postgres may have an account of its own
  for (const name of readdirSync(root))
    if (/^\d+$/.test(name) && !isAlive(Number(name))) rmSync(join(root, name), { recursive: true, force: true });
  const folder = join(root, String(process.pid));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o711 });
  return folder;
};
