import { stringify } from 'yaml';
import { type Resource, resourceSchemas } from '../../schema/resource.ts';

const filled = (record: Record<string, string>): boolean => Object.keys(record).length > 0;

/** The database forgets the order of keys; the schema knows the one that people expect. */
const inOrder = ({ apiVersion, kind, metadata, spec }: Resource): unknown => {
  const ordered = resourceSchemas[kind].safeParse({ apiVersion, kind, metadata, spec });
  return ordered.success ? ordered.data.spec : spec;
};

/** A resource as a person would have written it: what can be applied, and nothing that was observed. */
export const manifestOf = (resource: Resource) => {
  const { apiVersion, kind, metadata } = resource;
  const { name, org, project, labels, annotations } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(org === 'default' ? {} : { org }),
      ...(project === 'default' || kind === 'Project' ? {} : { project }),
      ...(filled(labels) ? { labels } : {}),
      ...(filled(annotations) ? { annotations } : {}),
    },
    spec: inOrder(resource),
  };
};

/** YAML without folded lines: a long text stays as it was written. */
export const toYaml = (value: unknown): string => stringify(value, { lineWidth: 0 }).trimEnd();

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The same value with its keys in the order of another one, so that a comparison of texts shows what differs and not where it stands. */
export const orderLike = (value: unknown, model: unknown): unknown => {
  if (Array.isArray(value)) return value.map((each, index) => orderLike(each, Array.isArray(model) ? model[index] : undefined));
  if (!isRecord(value)) return value;
  const leading = isRecord(model) ? Object.keys(model).filter((key) => key in value) : [];
  const keys = [...new Set([...leading, ...Object.keys(value)])];
  return Object.fromEntries(keys.map((key) => [key, orderLike(value[key], isRecord(model) ? model[key] : undefined)]));
};

/** Several resources as one file. */
export const toYamlDocuments = (resources: Resource[]): string => resources.map((resource) => toYaml(manifestOf(resource))).join('\n---\n');
