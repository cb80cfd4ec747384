import { entityUid, modelEntity } from '../../policy/entities.ts';
import type { KnownRequest } from '../../policy/known.ts';
import { noArguments } from '../../policy/recorded-context.ts';
import { definitionTarget } from '../../policy/toolset-entities.ts';
import type { DefinitionKind } from '../../schema/definition.ts';
import { qualifiedName, type Tenancy } from '../../schema/ids.ts';
import type { Resource } from '../../schema/resource.ts';
import type { ToolsetServer } from '../../schema/resources/toolset.ts';
import type { Definition } from '../../store/definition.ts';
import { isUsable } from '../../store/definitions.ts';

/** What an agent could be granted, and the request by which one finds out whether it is. */
export type GrantableThing = { type: string; id: string; toolset: string | null; asked: KnownRequest };

const uses: Readonly<Record<DefinitionKind, { type: string; action: string }>> = {
  tool: { type: 'Tool', action: 'callTool' },
  prompt: { type: 'Prompt', action: 'getPrompt' },
  template: { type: 'Template', action: 'readResource' },
};

const isTaken = (part: ToolsetServer, { kind, name }: Definition): boolean => {
  if (part.hide.includes(name)) return false;
  const wanted = { tool: part.tools, prompt: part.prompts, template: part.resources === 'none' ? 'none' : 'all' }[kind];
  return wanted === 'all' || (wanted !== 'none' && wanted.includes(name));
};

/**
 * Everything of a project that agents may be granted: definitions behind toolsets, and models.
 * @param like - a request of the agent in whose place is asked
 */
export const grantableThings = (
  tenancy: Tenancy,
  resources: readonly Resource[],
  definitions: readonly Definition[],
  like: Pick<KnownRequest, 'principal' | 'surroundings' | 'context'>,
): GrantableThing[] => {
  const { principal, surroundings } = like;
  const { who } = like.context;
  const request = (action: string, resource: KnownRequest['resource'], context: KnownRequest['context']): KnownRequest => ({
    principal,
    action,
    resource,
    surroundings,
    context,
    forAnyArguments: action !== 'invokeModel',
  });
  const toolsets = resources.filter((resource) => resource.kind === 'Toolset');
  const behind = toolsets.flatMap(({ metadata, spec }) =>
    spec.servers.flatMap((part) =>
      definitions
        .filter((definition) => definition.server === part.name && isUsable(definition) && isTaken(part, definition))
        .map((definition): GrantableThing => {
          const place = { ...tenancy, server: part.name, toolset: metadata.name, isolation: 0 };
          const { resource: uid, entities } = definitionTarget(place, definition);
          const { type, action } = uses[definition.kind];
          const asked = request(action, { uid, entities }, { who: who ?? {}, arguments: noArguments });
          return { type, id: uid.id, toolset: metadata.name, asked };
        }),
    ),
  );
  const models = resources
    .filter((resource) => resource.kind === 'Model')
    .map(({ metadata, spec }): GrantableThing => {
      const id = qualifiedName(tenancy, metadata.name);
      const known = { uid: entityUid('Model', id), entities: [modelEntity(tenancy, metadata.name, spec.quality, spec.maxSecrecy)] };
      return { type: 'Model', id, toolset: null, asked: request('invokeModel', known, { who: who ?? {}, maxTokens: 1 }) };
    });
  return [...behind, ...models];
};
