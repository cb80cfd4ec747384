import type { Resource } from '../../schema/resource.ts';
import { validateResource } from '../../schema/validate-resource.ts';

/** The group that the caller of the bench is in. */
export const benchGroup = 'bench';

const call = 'action == Quarterdeck::Action::"callTool"';
const inToolset = (name: string): string => `resource in Quarterdeck::Toolset::"default/default/${name}"`;

/**
 * Twenty policies as a project has them, beside the platform's own: most are about other toolsets or callers, some apply to each call, and
 * two look at its arguments.
 */
export const benchPolicies: string = [
  `@id("size") @advice("Send less.") forbid (principal, ${call}, resource) when { context.arguments.bytes > 2000000 };`,
  `@id("metadata-hosts") @advice("Use another host.") forbid (principal, ${call}, resource) when { context.arguments.hosts.containsAny(["169.254.169.254", "metadata.google.internal"]) };`,
  `@id("destroyers") @advice("Ask an administrator.") forbid (principal, action in [Quarterdeck::Action::"listTool", Quarterdeck::Action::"callTool"], ${inToolset('many-filtered')}) when { resource.hints.destructive };`,
  `@id("humans") @advice("Let a person begin it.") forbid (principal, action in [Quarterdeck::Action::"use"], resource) unless { context.who.hasHuman };`,
  ...Array.from({ length: 8 }, (_, index) => {
    const names = `@id("paths-${index}") @advice("Stay in your folder.")`;
    return `${names} forbid (principal is Quarterdeck::Agent, ${call}, ${inToolset(`files-${index}`)}) unless { principal.assignedPaths.containsAll(context.arguments.paths) };`;
  }),
  ...Array.from(
    { length: 8 },
    (_, index) =>
      `@id("team-${index}") permit (principal in Quarterdeck::Group::"default/team-${index}", action in [Quarterdeck::Action::"use"], ${inToolset(`team-${index}`)});`,
  ),
].join('\n');

/** What the gateway of the bench is told: servers behind toolsets, who may use them, and the policies of a project. */
export const benchResources = ({ echoPorts, manyPort }: { echoPorts: number[]; manyPort: number }): Resource[] => {
  const url = (port: number): string => `http://127.0.0.1:${port}/mcp`;
  const documents = [
    { kind: 'Project', metadata: { name: 'default' }, spec: {} },
    ...echoPorts.map((port, index) => ({ kind: 'McpServer', metadata: { name: `echo-${index}` }, spec: { url: url(port) } })),
    { kind: 'McpServer', metadata: { name: 'many' }, spec: { url: url(manyPort) } },
    { kind: 'Toolset', metadata: { name: 'one' }, spec: { servers: [{ name: 'echo-0' }], naming: 'plain' } },
    {
      kind: 'Toolset',
      metadata: { name: 'masked' },
      spec: { servers: [{ name: 'echo-0' }], naming: 'plain', filter: { mask: ['secrets', 'personal'] } },
    },
    { kind: 'Toolset', metadata: { name: 'all' }, spec: { servers: echoPorts.map((_, index) => ({ name: `echo-${index}` })) } },
    { kind: 'Toolset', metadata: { name: 'many' }, spec: { servers: [{ name: 'many' }], naming: 'plain' } },
    { kind: 'Toolset', metadata: { name: 'many-filtered' }, spec: { servers: [{ name: 'many' }], naming: 'plain' } },
    { kind: 'PolicySet', metadata: { name: 'rules' }, spec: { cedar: benchPolicies } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'callers' },
      spec: { subjects: [{ group: benchGroup }], toolsets: ['one', 'masked', 'all', 'many', 'many-filtered'] },
    },
  ];
  return documents.map((document) => {
    const checked = validateResource({ apiVersion: 'quarterdeck.dev/v1alpha1', ...document });
    if (!checked.ok) throw new Error(`a resource of the bench is not valid: ${JSON.stringify(checked.issues)}`);
    return checked.resource;
  });
};
