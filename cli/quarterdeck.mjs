#!/usr/bin/env node
/**
 * The installed command. The sources run as they are on Node 24; an older Node finds the one that the package brings along, or says in one
 * line what is missing.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('./main.ts', import.meta.url));
const bundled = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major > 24 || (major === 24 && minor >= 15)) {
  await import('./main.ts');
} else if (existsSync(bundled)) {
  const child = spawn(bundled, [entry, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
} else {
  process.stderr.write(
    `Error: Quarterdeck needs Node 24.15 or newer; this is ${process.version}. Next: npm install, which brings one along.\n`,
  );
  process.exit(1);
}
