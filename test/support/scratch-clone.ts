import { spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { findOnPath } from '../../cli/setup/find-on-path.mjs';

const repository = join(import.meta.dirname, '../..');
const plainPrograms = ['chmod', 'gzip', 'mkdir', 'sleep', 'tar'];

/**
 * A folder with the set-up scripts and nothing installed, a home of its own, and a path that holds a few plain programs and what the
 * test says that its machine has: npm, Go and apt are scripts of the test, so that no registry is asked.
 */
export const makeScratchClone = () => {
  const folder = mkdtempSync(join(tmpdir(), 'scratch-clone-'));
  const [root, home, bin] = [join(folder, 'clone'), join(folder, 'home'), join(folder, 'bin')];
  for (const made of [root, home, bin]) mkdirSync(made);
  for (const part of ['deploy/setup', 'cli/setup']) cpSync(join(repository, part), join(root, part), { recursive: true });
  for (const program of plainPrograms) symlinkSync(findOnPath(program) ?? '', join(bin, program));
  writeFileSync(join(root, 'package.json'), '{"name":"clone","version":"1.0.0","type":"module"}');

  /** Puts a shell script on the path. */
  const addProgram = (name: string, body: string, programs = bin) => {
    mkdirSync(programs, { recursive: true });
    writeFileSync(join(programs, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(programs, name), 0o755);
  };

  /** Stands for npm and its registry: it notes that it was called and lays down a Node that says it is a 24. */
  const addNpm = (delaySeconds = 0) =>
    addProgram(
      'npm',
      `echo "$@" >> ${folder}/npm-calls; sleep ${delaySeconds}; mkdir -p node_modules/.bin
printf '#!/bin/sh\\necho v24.21.0\\n' > node_modules/.bin/node; chmod +x node_modules/.bin/node`,
    );
  const countNpmCalls = () => readFileSync(join(folder, 'npm-calls'), 'utf8').trim().split('\n').length;

  const writeLock = (packages: Record<string, unknown>) => writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }));
  writeLock({ '': {} });

  /** Runs the set-up with an environment that holds only what stands here. Nothing answers where Temporal would be fetched. */
  const prepare = async (purpose: string, { path = [bin], env = {} as NodeJS.ProcessEnv } = {}) => {
    const child = spawn(process.execPath, [join(root, 'deploy/setup/prepare.mjs'), '--for', purpose], {
      env: { HOME: home, PATH: path.join(delimiter), QUARTERDECK_TEMPORAL_DOWNLOADS: 'http://127.0.0.1:1', ...env },
    });
    const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    return { stdout, stderr, code };
  };

  const cache = join(home, '.cache', 'quarterdeck');
  return {
    folder,
    root,
    bin,
    cache,
    addProgram,
    addNpm,
    countNpmCalls,
    writeLock,
    prepare,
    remove: () => rmSync(folder, { recursive: true }),
  };
};
