import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Resource, ResourceOf } from '../../schema/resource.ts';
import { validateResource } from '../../schema/validate-resource.ts';
import { readInputs } from '../client/run-inputs.ts';
import { absolutePath } from '../client/working-directory.ts';
import type { Config } from '../config.ts';
import { CliError } from '../output/cli-error.ts';
import { loadDocuments } from './load-documents.ts';
import type { SourceDocument } from './parse-documents.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

export type SurveyExample = { documents: SourceDocument[]; fleet: ResourceOf<'Fleet'>; usesLocalModel: boolean };

/** Reads the example that `npm start` runs, as data like any other. */
export const loadSurveyExample = async (config: Config): Promise<SurveyExample> => {
  const documents = await loadDocuments(config, [fileURLToPath(new URL('../../examples/survey', import.meta.url))]);
  const resources = documents.flatMap(({ value }): Resource[] => {
    const result = validateResource(value);
    return result.ok ? [result.resource] : [];
  });
  const fleet = resources.find((resource) => resource.kind === 'Fleet');
  if (!fleet) throw new CliError('examples/survey declares no Fleet', { next: 'restore the folder' });
  return {
    documents,
    fleet,
    usesLocalModel: resources.some(({ kind, spec }) => kind === 'Provider' && 'kind' in spec && spec.kind === 'local'),
  };
};

/**
 * Takes the inputs of the survey before anything is started; a folder that is not given is this repository.
 * @throws {CliError} naming a folder that is not there, or an input that the fleet does not have
 */
export const takeSurveyInputs = (config: Config, { metadata, spec }: ResourceOf<'Fleet'>, given: string[]): Record<string, string> => {
  const inputs = readInputs(given);
  const unknown = Object.keys(inputs).find((name) => !spec.inputs.some((input) => input.name === name));
  if (unknown !== undefined)
    throw new CliError(
      `The fleet ${metadata.name} has no input ${unknown}; its inputs are ${spec.inputs.map(({ name }) => name).join(', ')}`,
    );
  const taken: Record<string, string> = {};
  for (const { name, type, default: preset } of spec.inputs) {
    const value = inputs[name];
    if (type === 'text') {
      if (value !== undefined) taken[name] = value;
      continue;
    }
    const path = value === undefined ? (preset ?? repository) : absolutePath(config, value);
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory())
      throw new CliError(`The input ${name}: there is no folder ${path}`, { next: `give one that exists with --input ${name}=DIR` });
    taken[name] = path;
  }
  return taken;
};
