import type { DefinitionKind } from '../../schema/definition.ts';
import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { Definition } from '../../store/definition.ts';
import { listDefinitions } from '../../store/definitions.ts';
import { setQuarantine } from '../../store/quarantine-definition.ts';
import { type Deed, type PlatformContext, PlatformRefusal, type PlatformTarget } from './platform-context.ts';

const kindOf: Readonly<Record<string, DefinitionKind>> = { Tool: 'tool', Prompt: 'prompt', ResourceTemplate: 'template' };

/** Takes definitions out of use until a person accepts them, and gives them back. Nothing that a server says is pinned here. */
export const createPinDeeds = ({ database }: PlatformContext) => {
  const rowOf = async ({ org, project }: PlatformTarget, { kind, namespace: server, name }: ObjectRef): Promise<Definition> => {
    const row = (await listDefinitions(database, { org, project, server })).find((one) => one.kind === kindOf[kind] && one.name === name);
    if (!row) throw new PlatformRefusal('precondition', `${server} has no ${kind} ${name} by now.`);
    return row;
  };
  const put = async (row: Definition, reason: string): Promise<'done' | 'unchanged'> => {
    if (row.quarantined === reason) return 'unchanged';
    if (await setQuarantine(database, row, { reason, currentHash: row.currentHash })) return 'done';
    throw new PlatformRefusal('precondition', `${row.name} of ${row.server} has changed meanwhile.`);
  };

  return {
    quarantine: async (target: PlatformTarget, object: ObjectRef): Promise<Deed> => {
      const row = await rowOf(target, object);
      const why = 'offered otherwise than it was approved';
      return {
        changes: [{ path: '/quarantined', before: row.quarantined, after: why }],
        isBegun: async (operationId) => row.quarantined.endsWith(`(${operationId})`),
        run: ({ operationId }) => put(row, `${why} (${operationId})`),
      };
    },
    /** @param state - how it was seen before */
    restore: async (target: PlatformTarget, object: ObjectRef, state: unknown): Promise<Deed> => {
      const row = await rowOf(target, object);
      const { quarantined } = (state ?? {}) as { quarantined?: unknown };
      if (typeof quarantined !== 'string') throw new PlatformRefusal('invalid', 'What is kept does not say how it was.');
      return {
        changes: [{ path: '/quarantined', before: row.quarantined, after: quarantined }],
        isBegun: async () => row.quarantined === quarantined,
        run: () => put(row, quarantined),
      };
    },
  };
};
