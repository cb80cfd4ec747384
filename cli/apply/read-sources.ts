import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { text as readStream } from 'node:stream/consumers';
import { CliError } from '../output/cli-error.ts';
import type { Source } from './parse-documents.ts';

const isResourceFile = ({ name }: Dirent): boolean => /\.(ya?ml|json)$/i.test(name) && !name.startsWith('.');

const reasonOf = (error: unknown): string => {
  const { code } = error as { code?: string };
  if (code === 'ENOENT') return 'there is no such file or folder';
  if (code === 'EACCES' || code === 'EPERM') return 'this user may not read it';
  return code ?? String(error);
};

const readSource = (path: string, name: string): Source => {
  const bytes = readFileSync(path);
  try {
    return { name, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (cause) {
    throw new CliError(`${name} is not a text in UTF-8`, { cause });
  }
};

/** Files of a folder and the folders in it, in the order of their names. */
const filesIn = (path: string, name: string): { path: string; name: string }[] =>
  readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const place = { path: join(path, entry.name), name: join(name, entry.name) };
      if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules') return filesIn(place.path, place.name);
      return isResourceFile(entry) ? [place] : [];
    });

/**
 * Reads what `-f` names: files, folders with everything in them that ends in .yaml, .yml or .json, and `-` for stdin.
 * @param resolvePath - makes a path of the user absolute; messages show it as it was given
 * @throws {CliError} naming what cannot be read
 */
export const readSources = async (paths: string[], resolvePath: (path: string) => string): Promise<Source[]> => {
  const sources: Source[] = [];
  for (const given of paths) {
    if (given === '-') {
      sources.push({ name: '<stdin>', text: await readStream(process.stdin) });
      continue;
    }
    try {
      const path = resolvePath(given);
      if (!statSync(path).isDirectory()) {
        sources.push(readSource(path, given));
        continue;
      }
      const files = filesIn(path, given);
      if (files.length === 0)
        throw new CliError(`${given} has no file that ends in .yaml, .yml or .json`, { next: 'name a file or another folder' });
      sources.push(...files.map((file) => readSource(file.path, file.name)));
    } catch (error) {
      if (error instanceof CliError) throw error;
      throw new CliError(`${given} cannot be read: ${reasonOf(error)}`, { next: 'name a file, a folder or `-` with -f', cause: error });
    }
  }
  return sources;
};
