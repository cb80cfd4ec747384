import type { TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Tenancy } from '../schema/ids.ts';
import type { PolicySource } from './policy-sources.ts';

/** Kinds of resources by the type of entity that stands for them. */
const kindOfType: Readonly<Record<string, string>> = {
  AgentRole: 'AgentRole',
  Toolset: 'Toolset',
  Fleet: 'Fleet',
  Model: 'Model',
  Server: 'McpServer',
  Tool: 'McpServer',
  Prompt: 'McpServer',
  Template: 'McpServer',
  Resource: 'McpServer',
  Backend: 'McpServer',
};
const platformRoles: readonly string[] = ['administrator', 'reviewer', 'auditor', 'reconciler'];

const isUid = (value: object): value is TypeAndId =>
  'type' in value &&
  'id' in value &&
  typeof value.type === 'string' &&
  typeof value.id === 'string' &&
  value.type.startsWith('Quarterdeck::');

const entitiesIn = (value: unknown): TypeAndId[] => {
  if (typeof value !== 'object' || value === null) return [];
  return isUid(value) ? [value] : Object.values(value).flatMap(entitiesIn);
};

const whatIsWrong = (
  { type, id }: TypeAndId,
  { org, project }: Tenancy,
  isDeclared: (kind: string, name: string) => boolean,
): string | undefined => {
  const short = type.slice('Quarterdeck::'.length);
  if (short === 'Role')
    return platformRoles.includes(id) ? undefined : `there is no role ${id} of the platform; there are ${platformRoles.join(', ')}`;
  const kind = kindOfType[short];
  if (kind === undefined) return undefined;
  const [ofOrg, ofProject, name] = id.split('/');
  if (!name) return `${short} ${id} has an id that nothing has; write "${org}/${project}/NAME"`;
  if (ofOrg !== org || ofProject !== project) return `${short} ${id} is of another project, about which these policies do not decide`;
  return isDeclared(kind, name) ? undefined : `there is no ${kind} ${name} in ${org}/${project}`;
};

/** What policies mention by name and nobody has declared: a rule about it holds for nothing, which is seldom meant. */
export const undeclaredNames = (
  sources: Iterable<PolicySource>,
  tenancy: Tenancy,
  isDeclared: (kind: string, name: string) => boolean,
): { policySet: string; line: number; message: string }[] =>
  [...sources]
    .filter(({ kind }) => kind === 'PolicySet')
    .flatMap(({ name, line, json }) => {
      const wrong = entitiesIn([json.principal, json.resource, json.conditions]).flatMap(
        (uid) => whatIsWrong(uid, tenancy, isDeclared) ?? [],
      );
      return [...new Set(wrong)].map((message) => ({ policySet: name, line: line ?? 1, message }));
    });
