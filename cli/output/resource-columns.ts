import type { Kind, StoredResource } from '../../schema/resource.ts';
import type { FleetSpec } from '../../schema/resources/fleet.ts';
import type { McpServerSpec } from '../../schema/resources/mcp-server.ts';
import { formatAge } from './units.ts';

/** `True`, `False`, or what is not known yet: a condition of an earlier generation says nothing about this one. */
export const readyOf = ({ status, generation }: StoredResource): string => {
  const ready = status.conditions.find(({ type }) => type === 'Ready');
  return ready && ready.observedGeneration >= generation ? ready.status : 'Unknown';
};

const sourceOf = (spec: McpServerSpec): string =>
  'url' in spec
    ? spec.url
    : 'package' in spec
      ? `npm:${spec.package.npm}${spec.package.version ? `@${spec.package.version}` : ''}`
      : spec.command.join(' ');

const stagesOf = ({ stages }: FleetSpec): string => stages.map(({ name, role }) => (name === role ? name : `${name}:${role}`)).join(',');

/** What a table shows of each kind beside name, readiness and age. */
export const columnsOf = (resource: StoredResource): [head: string, cell: string][] => {
  switch (resource.kind) {
    case 'Project':
      return [
        ['ENVIRONMENT', resource.spec.environment],
        ['FROZEN', String(resource.spec.frozen)],
      ];
    case 'McpServer':
      return [['SOURCE', sourceOf(resource.spec)]];
    case 'Toolset':
      return [
        ['SERVERS', resource.spec.servers.map(({ name }) => name).join(',')],
        ['NAMING', resource.spec.naming],
      ];
    case 'Provider':
      return [['ADDRESS', resource.spec.kind === 'local' ? 'this machine' : resource.spec.baseUrl]];
    case 'Model':
      return [
        ['ROUTES', resource.spec.routes.map(({ provider, model }) => `${provider}/${model}`).join(',')],
        ['QUALITY', resource.spec.quality],
        ['DECODING', resource.spec.decoding],
      ];
    case 'AgentRole':
      return [
        ['MODEL', resource.spec.model],
        ['TOOLSET', resource.spec.toolset ?? ''],
      ];
    case 'Fleet':
      return [
        ['STAGES', stagesOf(resource.spec)],
        ['INPUTS', resource.spec.inputs.map(({ name }) => name).join(',')],
      ];
    case 'AccessBinding': {
      const { toolsets, models, agentRoles, fleets } = resource.spec;
      return [['ALLOWS', [...toolsets, ...models, ...agentRoles, ...fleets].join(',')]];
    }
    case 'PolicySet':
      return [['DESCRIPTION', resource.spec.description ?? '']];
    case 'ReconcileTarget':
      return [
        ['TYPE', resource.spec.type],
        ['PAUSED', String(resource.spec.paused)],
      ];
    case 'ReconcileRule':
      return [['STATE', resource.spec.state]];
    case 'Channel':
      return [['TYPE', resource.spec.type]];
    case 'IdentityProvider':
      return [['ISSUER', resource.spec.issuer]];
    case 'OAuthClient':
      return [
        ['GRANTS', [...resource.spec.grants, ...(resource.spec.workloads.length > 0 ? ['workload'] : [])].join(',')],
        ['REDIRECTS', resource.spec.redirectUris.join(',')],
      ];
  }
};

/** Head and rows of a table of resources of one kind. */
export const resourceRows = (resources: StoredResource[], now: Date): { head: string[]; rows: string[][] } => ({
  head: ['NAME', 'READY', ...(resources[0] ? columnsOf(resources[0]).map(([head]) => head) : []), 'AGE'],
  rows: resources.map((resource) => [
    resource.metadata.name,
    readyOf(resource),
    ...columnsOf(resource).map(([, cell]) => cell),
    formatAge(resource.createdAt, now),
  ]),
});

/** `mcpserver/echo`: how commands name one resource. */
export const referenceOf = ({ kind, metadata }: { kind: Kind; metadata: { name: string } }): string =>
  `${kind.toLowerCase()}/${metadata.name}`;
