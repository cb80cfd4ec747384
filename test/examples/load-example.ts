import { readdirSync, readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import type { Kind, Resource, ResourceOf } from '../../schema/resource.ts';
import { validateResource } from '../../schema/validate-resource.ts';

/** Reads the resources of an example folder, as `apply` does; a resource that is not valid is an error that says why. */
export const loadExample = (name: string): Resource[] => {
  const folder = new URL(`../../examples/${name}/`, import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  return files.flatMap((file) =>
    parseAllDocuments(readFileSync(new URL(file, folder), 'utf8')).map((document) => {
      const result = validateResource(document.toJS());
      if (!result.ok) throw new Error(`${file}: ${JSON.stringify(result.issues)}`);
      return result.resource;
    }),
  );
};

/** The resources of one kind. */
export const ofKind = <K extends Kind>(resources: Resource[], kind: K): ResourceOf<K>[] =>
  resources.filter((resource): resource is ResourceOf<K> => resource.kind === kind);
