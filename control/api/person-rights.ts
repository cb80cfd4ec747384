import type { PersonFacts } from '../../policy/caller-entities.ts';
import type { PolicyEngine } from '../../policy/engine.ts';
import { entityUid, modelEntity } from '../../policy/entities.ts';
import { definitionTarget } from '../../policy/toolset-entities.ts';
import type { DefinitionKind } from '../../schema/definition.ts';
import { qualifiedName, type Tenancy } from '../../schema/ids.ts';
import type { Declared } from '../../store/declared.ts';
import { type AskedResource, createPersonAsk, type PersonAnswer } from './ask-as-person.ts';

const listActions = { tool: 'listTool', prompt: 'listPrompt', template: 'listResource' } as const satisfies Record<DefinitionKind, string>;
const kinds = Object.keys(listActions) as DefinitionKind[];

/** Stands for what a server will offer of which nothing is known yet: only a grant of the toolset as a whole can be of it. */
const unseen = {
  kind: 'tool',
  name: '*',
  approvedHash: 'unseen',
  currentHash: 'unseen',
  readOnly: true,
  destructive: false,
  idempotent: true,
  openWorld: false,
} as const;

type Thing = { kind: 'Toolset' | 'Model'; name: string };
/**
 * Whether a person may use a toolset, which is to see anything behind it, or a model: the decision that says so, of several denials the
 * last; undefined where no such thing is declared.
 */
export type PersonRights = (person: PersonFacts, tenancy: Tenancy, thing: Thing) => PersonAnswer | undefined;

/** What people themselves may use, by the policies in force: an agent that acts for one gets no more. */
export const createPersonRights = ({ policy, declared }: { policy: PolicyEngine; declared: () => Declared }): PersonRights => {
  const ask = createPersonAsk({ policy, declared });
  const targetsOf = function* (tenancy: Tenancy, name: string): Generator<{ action: string; resource: AskedResource }> {
    for (const { name: server } of declared().find('Toolset', tenancy, name)?.spec.servers ?? []) {
      const known = kinds.flatMap((kind) => declared().definitionsOf(tenancy, server, kind));
      for (const pinned of known.length > 0 ? known : [unseen]) {
        const { resource: uid, entities } = definitionTarget({ ...tenancy, server, toolset: name, isolation: 0 }, pinned);
        yield { action: listActions[pinned.kind], resource: { uid, entities } };
      }
    }
  };
  return (person, tenancy, { kind, name }) => {
    if (kind === 'Toolset') {
      let answer: PersonAnswer | undefined;
      for (const { action, resource } of targetsOf(tenancy, name)) {
        answer = ask(person, action, tenancy, resource);
        if (answer.effect === 'allow') return answer;
      }
      return answer;
    }
    const model = declared().find('Model', tenancy, name);
    if (!model) return undefined;
    const resource = { uid: entityUid('Model', qualifiedName(tenancy, name)), entities: [modelEntity(tenancy, name, model.spec.quality)] };
    return ask(person, 'listModel', tenancy, resource);
  };
};
