import { mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findOnPath } from '../../cli/setup/find-on-path.mjs';
import { temporalVersion } from '../../cli/setup/find-temporal.mjs';
import { runCommand } from './run-command.mjs';
import { say, secondsSince } from './talk.mjs';

/**
 * Builds Temporal's program from its Go module, for machines that reach package registries only.
 * @param scratch - empty folder on the same file system as `target`
 * @param target - where the program goes
 * @returns undefined when it is there, else why not
 */
export const buildTemporal = async (scratch, target) => {
  if (findOnPath('go') === undefined) return 'Go is not on the path';
  const startedAt = performance.now();
  const module = `github.com/temporalio/cli/cmd/temporal@v${temporalVersion}`;
  say(`go install ${module}: about 4 min on two cores, once; 210 MB, kept in ${target}`);
  const code = await runCommand('go', ['install', '-ldflags=-s -w', module], {
    // GOFLAGS and GOOS of the caller's own work must not decide what is built for this machine.
    env: { ...process.env, GOBIN: scratch, GOFLAGS: '', GOOS: '', GOARCH: '' },
  });
  if (code !== 0) return `go install failed (exit ${code}, its words stand above)`;
  mkdirSync(dirname(target), { recursive: true });
  renameSync(join(scratch, 'temporal'), target);
  say(`go install: done in ${secondsSince(startedAt)}`);
  return undefined;
};
