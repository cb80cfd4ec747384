/**
 * Makes a fresh clone ready for one npm script: `node deploy/setup/prepare.mjs --for start|test|full|qd|check`. Runs on Node 20 with
 * nothing installed, says on stderr what it fetches or builds, and is silent and quick when all is there.
 */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBubblewrap } from './bubblewrap.mjs';
import { ensureChromium } from './chromium.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { ensureKubernetes } from './kubernetes.mjs';
import { ensureOpa } from './opa.mjs';
import { ensurePip } from './pip.mjs';
import { SetupError, say } from './talk.mjs';
import { ensureTemporal } from './temporal.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const dependencies = () => ensureDependencies(root);

/** A command may have to do with a platform elsewhere, or with none; `up` itself says when it misses Temporal. */
const temporalIfItCanBeHad = async () => {
  if (process.env.QUARTERDECK_URL) return;
  try {
    await ensureTemporal();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
  }
};

const stepsFor = {
  start: [dependencies, ensureTemporal, ensureBubblewrap, ensurePip],
  test: [dependencies, ensureTemporal],
  full: [dependencies, ensureTemporal, ensureBubblewrap, ensureChromium, ensurePip, ensureKubernetes, ensureOpa],
  qd: [dependencies, temporalIfItCanBeHad],
  check: [dependencies],
};

const [flag, purpose] = process.argv.slice(2);
if (flag !== '--for' || !Object.hasOwn(stepsFor, purpose ?? '')) {
  process.stderr.write(`usage: node deploy/setup/prepare.mjs --for ${Object.keys(stepsFor).join('|')}\n`);
  process.exit(2);
}
try {
  for (const step of stepsFor[purpose]) await step();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exit(1);
}
