import { createWriteStream, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { temporalVersion } from '../../cli/setup/find-temporal.mjs';
import { runCommand } from './run-command.mjs';
import { say, secondsSince } from './talk.mjs';

/** Answers the first question within this time or is taken as out of reach: many machines may reach package registries only. */
const answerTimeoutMs = 10_000;
const downloadTimeoutMs = 15 * 60_000;

/**
 * Fetches Temporal's program the way the Temporal SDK does: it asks where the archive for this platform lies, and unpacks one file.
 * @param scratch - empty folder on the same file system as `target`
 * @param target - where the program goes
 * @param origin - where to ask: the address that the SDK asks, or a mirror of it
 * @returns undefined when it is there, else why not
 * @see sdk-core/crates/sdk-core/src/ephemeral_server/mod.rs in the npm package @temporalio/core-bridge
 */
export const downloadTemporal = async (scratch, target, origin = 'https://temporal.download') => {
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  const platform = { linux: 'linux', darwin: 'darwin' }[process.platform];
  if (arch === undefined || platform === undefined) return `no release is published for ${process.platform} on ${process.arch}`;
  try {
    const question = `${origin}/cli/v${temporalVersion}?arch=${arch}&platform=${platform}&format=tar.gz`;
    const { archiveUrl, fileToExtract } = await (await get(question, answerTimeoutMs)).json();
    return await unpack(await get(archiveUrl, downloadTimeoutMs), { archiveUrl, fileToExtract, scratch, target });
  } catch (error) {
    return `${new URL(origin).host} cannot be reached or answers otherwise than expected (${error.cause?.code ?? error.message})`;
  }
};

const get = async (url, timeoutMs) => {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response;
};

const unpack = async (response, { archiveUrl, fileToExtract, scratch, target }) => {
  const startedAt = performance.now();
  const bytes = Number(response.headers.get('content-length'));
  say(`download: Temporal ${temporalVersion}${bytes > 0 ? `, ${Math.round(bytes / 1e6)} MB` : ''}, from ${archiveUrl}, kept in ${target}`);
  const archive = join(scratch, 'temporal.tar.gz');
  await pipeline(Readable.fromWeb(response.body), createWriteStream(archive));
  const code = await runCommand('tar', ['-xzf', archive, '-C', scratch, fileToExtract]);
  if (code !== 0) return `tar could not unpack ${fileToExtract} (exit ${code})`;
  // A program that does not start here (another C library, a cut archive) must not get into the cache.
  const program = join(scratch, fileToExtract);
  if ((await runCommand(program, ['--version'], { quiet: true })) !== 0) return 'the downloaded program does not start on this machine';
  mkdirSync(dirname(target), { recursive: true });
  renameSync(program, target);
  say(`download: done in ${secondsSince(startedAt)}`);
  return undefined;
};
