import type { StoredResource } from '../../schema/resource.ts';
import type { Config } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import { absolutePath } from './working-directory.ts';

/** Reads `name=value` of each `--input`. @throws {CliError} usage */
export const readInputs = (given: string[]): Record<string, string> => {
  const inputs: Record<string, string> = {};
  for (const each of given) {
    const at = each.indexOf('=');
    if (at < 1) throw usageError(`--input ${each} is not name=value, such as path=./src`);
    const name = each.slice(0, at);
    if (name in inputs) throw usageError(`--input ${name} is given twice`);
    inputs[name] = each.slice(at + 1);
  }
  return inputs;
};

/** Makes the folders among the inputs absolute: the platform does not know where the user stands. */
export const resolveFolders = (config: Config, fleet: StoredResource<'Fleet'>, inputs: Record<string, string>): Record<string, string> => {
  const folders = new Set(fleet.spec.inputs.filter(({ type }) => type === 'folder').map(({ name }) => name));
  return Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, folders.has(name) ? absolutePath(config, value) : value]));
};
