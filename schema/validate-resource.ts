import type { z } from 'zod';
import { type Resource, resourceSchemas } from './resource.ts';
import { CommandServerSchema, PackageServerSchema, RemoteServerSchema } from './resources/mcp-server.ts';
import { apiVersion } from './resources/metadata.ts';
import { unbuiltFields, unbuiltKinds } from './unbuilt-fields.ts';

/** One thing wrong with a resource: where (keys from the root) and what is expected there. */
export type ResourceIssue = { path: (string | number)[]; message: string };
export type ResourceValidation = { ok: true; resource: Resource } | { ok: false; issues: ResourceIssue[] };

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A union of three strict shapes reports badly, so the one the writer meant is chosen by its own key first. */
const serverSchemas = { url: RemoteServerSchema, package: PackageServerSchema, command: CommandServerSchema } as const;

const serverIssues = (spec: unknown): ResourceIssue[] => {
  if (!isRecord(spec)) return [{ path: ['spec'], message: 'expected an object' }];
  const chosen = (['url', 'package', 'command'] as const).filter((key) => key in spec);
  if (chosen.length !== 1)
    return [
      {
        path: ['spec'],
        message: `expected exactly one of \`url\`, \`package\` and \`command\`${chosen.length > 1 ? `; ${chosen.join(' and ')} are given` : ''}`,
      },
    ];
  const result = serverSchemas[chosen[0] as keyof typeof serverSchemas].safeParse(spec);
  return result.success ? [] : flatten(result.error.issues, 'McpServer', ['spec']);
};

const unknownKeyMessage = (kind: keyof typeof resourceSchemas, key: string): string =>
  unbuiltFields[kind]?.includes(key)
    ? `the field \`${key}\` of ${kind} is not built yet; take it out`
    : `there is no field \`${key}\` here; see \`quarterdeck describe schema ${kind}\` for those there are`;

const describe = (issue: z.core.$ZodIssue): string => {
  switch (issue.code) {
    case 'invalid_type':
      return /received undefined/.test(issue.message) ? `missing: expected ${issue.expected}` : `expected ${issue.expected}`;
    case 'invalid_value':
      return `expected ${issue.values.map((value) => `\`${String(value)}\``).join(' or ')}`;
    case 'invalid_format':
      return issue.message.startsWith('Invalid')
        ? `expected ${issue.format === 'url' ? 'an http or https URL' : issue.format}`
        : `expected ${issue.message}`;
    case 'too_small':
      return `expected at least ${issue.minimum} ${issue.origin === 'string' ? 'characters' : issue.origin === 'array' ? 'elements' : ''}`.trim();
    case 'too_big':
      return `expected at most ${issue.maximum} ${issue.origin === 'string' ? 'characters' : issue.origin === 'array' ? 'elements' : ''}`.trim();
    case 'custom':
      return `expected ${issue.message}`;
    default:
      return issue.message;
  }
};

const flatten = (issues: z.core.$ZodIssue[], kind: keyof typeof resourceSchemas, prefix: (string | number)[] = []): ResourceIssue[] =>
  issues.flatMap((issue): ResourceIssue[] => {
    const path = [...prefix, ...issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key))];
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ path: [...path, key], message: unknownKeyMessage(kind, key) }));
    if (issue.code === 'invalid_union' && 'errors' in issue && issue.errors.length > 0) {
      const nearest = [...issue.errors].sort((a, b) => a.length - b.length)[0] ?? [];
      return flatten(nearest, kind, path);
    }
    return [{ path, message: describe(issue) }];
  });

/**
 * Judges one document as a user wrote it. Defaults are filled in; nothing unknown passes.
 * @param document - parsed YAML or JSON
 */
export const validateResource = (document: unknown): ResourceValidation => {
  if (!isRecord(document))
    return { ok: false, issues: [{ path: [], message: 'expected a resource: an object with apiVersion, kind, metadata and spec' }] };
  const kind = document.kind;
  if (typeof kind === 'string' && unbuiltKinds.includes(kind))
    return { ok: false, issues: [{ path: ['kind'], message: `the kind \`${kind}\` is not built yet` }] };
  if (typeof kind !== 'string' || !(kind in resourceSchemas))
    return {
      ok: false,
      issues: [
        {
          path: ['kind'],
          message: `${typeof kind === 'string' ? `there is no kind \`${kind.slice(0, 64)}\`; ` : ''}expected one of ${Object.keys(resourceSchemas).join(', ')}`,
        },
      ],
    };
  const known = kind as keyof typeof resourceSchemas;
  // what `get -o yaml` prints carries a status; it is what was observed, so it is read past
  const { status: _observed, ...declared } = document;
  const result = resourceSchemas[known].safeParse(declared);
  const issues = result.success
    ? []
    : flatten(result.error.issues, known).filter((issue) => known !== 'McpServer' || issue.path[0] !== 'spec');
  if (known === 'McpServer') issues.push(...serverIssues(document.spec));
  if (issues.length > 0) return { ok: false, issues };
  if (!result.success) return { ok: false, issues: flatten(result.error.issues, known) };
  const resource = result.data as Resource;
  if (resource.kind === 'Project' && resource.metadata.project !== 'default' && resource.metadata.project !== resource.metadata.name)
    return { ok: false, issues: [{ path: ['metadata', 'project'], message: 'a Project stands for itself; leave `project` out' }] };
  if (resource.kind === 'Project') resource.metadata.project = resource.metadata.name;
  return { ok: true, resource };
};

export { apiVersion };
