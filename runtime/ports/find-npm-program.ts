import { readFile, realpath } from 'node:fs/promises';
import { join, posix, sep } from 'node:path';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import type { ServerLaunch } from '../../schema/server-launch.ts';

const PackageManifestSchema = z.object({ version: z.string(), bin: z.union([z.string(), z.record(z.string(), z.string())]).optional() });

type NpmProgram = Extract<ServerLaunch['program'], { kind: 'npm' }>;

const chooseBin = (program: NpmProgram, bin: string | Record<string, string> | undefined): string | undefined => {
  if (typeof bin === 'string') return bin;
  const names = Object.keys(bin ?? {});
  const unscoped = program.package.split('/').at(-1) ?? program.package;
  const name = program.bin ?? (names.length === 1 ? names[0] : unscoped);
  return name === undefined ? undefined : bin?.[name];
};

/**
 * Finds the script of an installed npm package; nothing is ever downloaded to run it.
 * @param packageRoot - folder whose `node_modules` holds the package
 * @returns `script`, relative to `node_modules` with forward slashes, and `nodeModules`, the real path of that folder
 * @throws {PlatformError} `input_invalid` when the package is missing, has another version or no such program
 */
export const findNpmProgram = async (program: NpmProgram, packageRoot: string): Promise<{ nodeModules: string; script: string }> => {
  const refuse = (text: string, cause?: unknown) =>
    new PlatformError('input_invalid', `npm package ${program.package}: ${text}`, { cause });
  const notInstalled = (cause?: unknown) => refuse('it is not installed beside Quarterdeck; add it with `npm install` there.', cause);
  let nodeModules: string;
  let folder: string;
  let manifestText: string;
  try {
    nodeModules = await realpath(join(packageRoot, 'node_modules'));
    folder = await realpath(join(nodeModules, program.package));
    manifestText = await readFile(join(folder, 'package.json'), 'utf8');
  } catch (cause) {
    throw notInstalled(cause);
  }
  // A linked package lives where the cage cannot see it.
  if (!folder.startsWith(nodeModules + sep)) throw refuse('it is a link to another folder; install it for real.');
  const manifest = PackageManifestSchema.safeParse(JSON.parse(manifestText));
  if (!manifest.success) throw refuse('its package.json is not usable.');
  if (program.version !== undefined && program.version !== manifest.data.version)
    throw refuse(`version ${program.version} is asked for, ${manifest.data.version} is installed.`);
  const bin = chooseBin(program, manifest.data.bin);
  if (bin === undefined) throw refuse(program.bin === undefined ? 'say which program by `bin`.' : `it has no program ${program.bin}.`);
  const script = posix.join(program.package, bin.replaceAll('\\', '/'));
  if (!script.startsWith(`${program.package}/`)) throw refuse('its program lies outside the package.');
  return { nodeModules, script };
};

/** Arguments of Node before the script: the only limit on memory that Node knows, the JavaScript heap. */
export const nodeFlags = (launch: ServerLaunch): string[] => [`--max-old-space-size=${launch.limits?.memoryMb ?? 512}`];
