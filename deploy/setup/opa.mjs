import { mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findOnPath } from '../../cli/setup/find-on-path.mjs';
import { cachedOpa, findOpa, opaVersion } from '../../cli/setup/find-opa.mjs';
import { buildOnce } from './build-once.mjs';
import { runCommand } from './run-command.mjs';
import { say, secondsSince } from './talk.mjs';

const build = async (scratch) => {
  const module = `github.com/open-policy-agent/opa@v${opaVersion}`;
  const startedAt = performance.now();
  say(`go install ${module}: about 4 min on two cores, once; 43 MB, kept in ${cachedOpa()}`);
  const code = await runCommand('go', ['install', '-trimpath', '-ldflags=-s -w', module], {
    cwd: scratch,
    // GOFLAGS and GOOS of the caller's own work must not decide what is built for this machine.
    env: { ...process.env, GOBIN: scratch, GOFLAGS: '-mod=mod', GOOS: '', GOARCH: '', GOWORK: 'off' },
  });
  if (code !== 0) return say('the Rego compiler opa could not be built (its words stand above), so tests that compile Rego fail');
  mkdirSync(dirname(cachedOpa()), { recursive: true });
  renameSync(join(scratch, 'opa'), cachedOpa());
  say(`the Rego compiler opa: done in ${secondsSince(startedAt)}`);
};

/**
 * Builds, where it can, the program that compiles the Rego of policies. Where it cannot, it says in one line what helps and goes on: nothing
 * but the publication of policies with Rego needs it.
 */
export const ensureOpa = async () => {
  if (findOpa() !== undefined) return;
  if (findOnPath('go') === undefined)
    return say('Go is missing, so the Rego compiler opa cannot be built; install Go 1.26, or put an `opa` on the path');
  await buildOnce('opa', { doing: 'building the Rego compiler opa', isThere: () => findOpa() !== undefined, build });
};
