import type { Kind, Resource } from '../../schema/resource.ts';

/** One mention of another resource of the same project, and where it stands. */
export type ResourceReference = { kind: Kind; name: string; path: (string | number)[] };

const named = (kind: Kind, names: string[], path: (string | number)[]): ResourceReference[] =>
  names.map((name, index) => ({ kind, name, path: [...path, index] }));

/** What a resource needs to be there: each of these has to exist before it can be applied, and cannot be deleted while it is. */
export const referencesOf = (resource: Resource): ResourceReference[] => {
  switch (resource.kind) {
    case 'Toolset':
      return resource.spec.servers.map(({ name }, index) => ({ kind: 'McpServer', name, path: ['spec', 'servers', index, 'name'] }));
    case 'Model':
      return resource.spec.routes.map(({ provider }, index) => ({
        kind: 'Provider',
        name: provider,
        path: ['spec', 'routes', index, 'provider'],
      }));
    case 'AgentRole':
      return [
        { kind: 'Model', name: resource.spec.model, path: ['spec', 'model'] },
        ...(resource.spec.toolset ? [{ kind: 'Toolset' as const, name: resource.spec.toolset, path: ['spec', 'toolset'] }] : []),
      ];
    case 'Fleet':
      return resource.spec.stages.map(({ role }, index) => ({ kind: 'AgentRole', name: role, path: ['spec', 'stages', index, 'role'] }));
    case 'AccessBinding': {
      const { subjects, toolsets, models, agentRoles, fleets } = resource.spec;
      return [
        ...subjects.flatMap((subject, index): ResourceReference[] =>
          'agentRole' in subject ? [{ kind: 'AgentRole', name: subject.agentRole, path: ['spec', 'subjects', index, 'agentRole'] }] : [],
        ),
        ...named('Toolset', toolsets, ['spec', 'toolsets']),
        ...named('Model', models, ['spec', 'models']),
        ...named('AgentRole', agentRoles, ['spec', 'agentRoles']),
        ...named('Fleet', fleets, ['spec', 'fleets']),
      ];
    }
    case 'ReconcileTarget': {
      const { spec } = resource;
      const escalates = spec.escalation.role;
      return [
        ...(escalates ? [{ kind: 'AgentRole' as const, name: escalates, path: ['spec', 'escalation', 'role'] }] : []),
        ...named('Channel', spec.channels, ['spec', 'channels']),
        ...(spec.type === 'mcp'
          ? [
              { kind: 'Toolset' as const, name: spec.toolset, path: ['spec', 'toolset'] },
              { kind: 'AgentRole' as const, name: spec.role, path: ['spec', 'role'] },
            ]
          : []),
      ];
    }
    case 'Channel':
    case 'ReconcileRule':
    case 'Project':
    case 'McpServer':
    case 'Provider':
    case 'PolicySet':
    case 'IdentityProvider':
    case 'OAuthClient':
      return [];
  }
};
