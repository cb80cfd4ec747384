import { PlatformError } from '../../schema/errors.ts';
import type { FleetSpec } from '../../schema/resources/fleet.ts';
import type { RunVolume } from '../../schema/run.ts';
import { findInputFolder, makeOutputFolder } from './run-folders.ts';

export type RunInputs = { values: Record<string, string>; volumes: RunVolume[]; outputDirectory: string | null };

/** Says which inputs are unknown, and which are missing. */
const checkNames = (fleet: string, declared: FleetSpec['inputs'], given: Record<string, string>): void => {
  const known = declared.map(({ name }) => name);
  const unknown = Object.keys(given).filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    const has = known.length > 0 ? `its inputs are ${known.join(', ')}` : 'it takes none';
    throw new PlatformError('input_invalid', `The fleet ${fleet} has no input ${unknown.join(', ')}; ${has}.`);
  }
  const missing = declared.filter(({ name, default: preset }) => given[name] === undefined && preset === undefined).map(({ name }) => name);
  if (missing.length > 0)
    throw new PlatformError(
      'input_invalid',
      `The fleet ${fleet} needs the input ${missing.join(', ')}; give it with \`--input ${missing[0]}=…\`.`,
    );
};

/**
 * Takes what a run is given: texts as they are, folders by their real path, each with the volume it becomes.
 * @param given - as asked; what is left out has its default
 * @param outputDirectory - absolute path; it is made if the fleet writes an output
 * @throws {PlatformError} `input_invalid`, naming the input
 */
export const takeInputs = async (
  fleet: string,
  spec: FleetSpec,
  given: Record<string, string>,
  { outputDirectory, dataDirectory }: { outputDirectory: string; dataDirectory: string },
): Promise<RunInputs> => {
  checkNames(fleet, spec.inputs, given);
  const values: Record<string, string> = {};
  const volumes: RunVolume[] = [];
  for (const input of spec.inputs) {
    const value = given[input.name] ?? input.default ?? '';
    if (input.type === 'text') {
      values[input.name] = value;
      continue;
    }
    const hostPath = await findInputFolder(input.name, value, dataDirectory);
    values[input.name] = hostPath;
    volumes.push({ name: input.volume, hostPath, mode: 'ro' });
  }
  if (!spec.output) return { values, volumes, outputDirectory: null };
  const inputFolders = volumes.map(({ hostPath }) => hostPath);
  const hostPath = await makeOutputFolder(outputDirectory, inputFolders, dataDirectory);
  return { values, volumes: [...volumes, { name: spec.output.volume, hostPath, mode: 'rw' }], outputDirectory: hostPath };
};
