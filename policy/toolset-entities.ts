import type { EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { DefinitionKind } from '../schema/definition.ts';
import { qualifiedName, type Tenancy } from '../schema/ids.ts';
import { entityRef, entityUid, inProject } from './entities.ts';

/** Whether what it is given leaves the house, or is kept where others find it, and how secret that may be. */
type SinkFacts = { sink?: boolean; maxSecrecy?: number };

export type ToolFacts = Tenancy &
  SinkFacts & {
    server: string;
    tool: string;
    toolset: string;
    isolation: number;
    readOnly: boolean;
    destructive: boolean;
    idempotent: boolean;
    openWorld: boolean;
    approvedHash: string;
    currentHash: string;
  };

/** What is the same of a tool, prompt, template or resource: where it stands. */
type Place = Tenancy & SinkFacts & { server: string; toolset: string; isolation: number };

const behindToolset = (
  type: 'Tool' | 'Prompt' | 'Template' | 'Resource' | 'Backend',
  { org, project, server, toolset, isolation, sink = false, maxSecrecy = 0 }: Place,
  name: string,
  attrs: EntityJson['attrs'],
  parents: TypeAndId[] = [],
): EntityJson[] => {
  const serverId = qualifiedName({ org, project }, server);
  return [
    {
      uid: entityUid(type, type === 'Backend' ? serverId : `${serverId}/${name}`),
      attrs: {
        org: entityRef('Org', org),
        project: entityRef('Project', `${org}/${project}`),
        server: entityRef('Server', serverId),
        ...(type === 'Backend' ? {} : { maxSecrecy }),
        ...attrs,
      },
      parents: [
        entityUid('Server', serverId),
        entityUid('Toolset', qualifiedName({ org, project }, toolset)),
        ...(sink && type !== 'Backend' ? [entityUid('Sink', 'any')] : []),
        ...parents,
      ],
    },
    inProject('Server', { org, project }, server, { isolation }),
    inProject('Toolset', { org, project }, toolset),
  ];
};

/** A tool as it stands behind one toolset, with its server. */
export const toolEntities = (facts: ToolFacts): EntityJson[] => {
  const { tool, readOnly, destructive, idempotent, openWorld, approvedHash, currentHash } = facts;
  return behindToolset('Tool', facts, tool, { hints: { readOnly, destructive, idempotent, openWorld }, approvedHash, currentHash });
};

/**
 * A server behind a toolset as what tokens are exchanged for. Its id is the server's.
 * @property scopes - all that a token for it may have
 * @property maxTtlSeconds - longest life of one
 */
export type BackendFacts = Place & { scopes: readonly string[]; maxTtlSeconds: number };

export const backendEntities = (facts: BackendFacts): EntityJson[] =>
  behindToolset('Backend', facts, facts.server, { maxTtl: facts.maxTtlSeconds, scopes: [...facts.scopes] });

type Pin = { approvedHash: string; currentHash: string };

export const promptEntities = (facts: Place & Pin & { prompt: string }): EntityJson[] =>
  behindToolset('Prompt', facts, facts.prompt, { approvedHash: facts.approvedHash, currentHash: facts.currentHash });

/** The scheme of a URI or URI template in lower case; empty where it has none. */
const schemeOf = (uri: string): string => /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase() ?? '';

export type TemplateFacts = Place & Pin & { uriTemplate: string };

export const templateEntities = (facts: TemplateFacts): EntityJson[] =>
  behindToolset('Template', facts, facts.uriTemplate, {
    uri: facts.uriTemplate,
    scheme: schemeOf(facts.uriTemplate),
    approvedHash: facts.approvedHash,
    currentHash: facts.currentHash,
  });

type Hints = Pick<ToolFacts, 'readOnly' | 'destructive' | 'idempotent' | 'openWorld'>;

/** What decisions about a pinned definition behind a toolset are about. */
export const definitionTarget = (
  place: Place,
  pinned: Pin & Hints & { kind: DefinitionKind; name: string },
): { resource: TypeAndId; entities: EntityJson[] } => {
  const id = `${qualifiedName(place, place.server)}/${pinned.name}`;
  switch (pinned.kind) {
    case 'tool':
      return { resource: entityUid('Tool', id), entities: toolEntities({ ...pinned, ...place, tool: pinned.name }) };
    case 'prompt':
      return { resource: entityUid('Prompt', id), entities: promptEntities({ ...pinned, ...place, prompt: pinned.name }) };
    case 'template':
      return { resource: entityUid('Template', id), entities: templateEntities({ ...pinned, ...place, uriTemplate: pinned.name }) };
  }
};

/** A resource, in the templates that lead to it. */
export const resourceEntities = (facts: Place & { uri: string; templates: readonly TemplateFacts[] }): EntityJson[] => {
  const within = facts.templates.map((template) =>
    entityUid('Template', `${qualifiedName(template, template.server)}/${template.uriTemplate}`),
  );
  return [
    ...behindToolset('Resource', facts, facts.uri, { uri: facts.uri, scheme: schemeOf(facts.uri) }, within),
    ...facts.templates.flatMap(templateEntities),
  ];
};
