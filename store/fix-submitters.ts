import type { Fix } from '../schema/reconcile/fix.ts';
import type { Plan } from '../schema/reconcile/plan.ts';
import { KindSchema } from '../schema/resource.ts';
import type { ReconcileTargetSpec } from '../schema/resources/reconcile-target.ts';
import type { Executor } from './database.ts';
import { findSubmitters, type Part } from './find-submitters.ts';
import { findResource } from './resources.ts';

/** What decides what a model answers: its role, the alias, and where the alias leads. What it only read is nobody's say. */
const partsOfModel = async (executor: Executor, { org, project, source }: Plan): Promise<Part[]> => {
  if (source.kind !== 'model') return [];
  const place = { org, project };
  const role = await findResource(executor, { ...place, kind: 'AgentRole', name: source.role });
  const aliases = [...new Set([source.model, ...(role ? [role.spec.model] : [])])];
  const models = await Promise.all(aliases.map((name) => findResource(executor, { ...place, kind: 'Model', name })));
  return [
    { kind: 'AgentRole', name: source.role },
    ...aliases.map((name): Part => ({ kind: 'Model', name })),
    ...models.flatMap((model) => model?.spec.routes ?? []).map(({ provider }): Part => ({ kind: 'Provider', name: provider })),
  ];
};

/** What decides what an operation means: of `mcp` the toolset and servers that its calls go to, of the platform what is changed. */
const partsOfOperations = async (executor: Executor, { org, project, steps }: Plan, spec: ReconcileTargetSpec): Promise<Part[]> => {
  switch (spec.type) {
    case 'kubernetes':
      // manifests are the target's own
      return [];
    case 'mcp': {
      const toolset = await findResource(executor, { org, project, kind: 'Toolset', name: spec.toolset });
      const servers = toolset?.spec.servers ?? [];
      return [{ kind: 'Toolset', name: spec.toolset }, ...servers.map(({ name }): Part => ({ kind: 'McpServer', name }))];
    }
    case 'platform':
      return steps.flatMap(({ operation: { object } }): Part[] => {
        const kind = KindSchema.safeParse(object.kind);
        return kind.success ? [{ kind: kind.data, name: object.name }] : [];
      });
  }
};

/**
 * Everybody who wrote a part of what a fix would do, and who therefore does not approve it where others have to: of its target since that was
 * declared, of the rule or the agent role with its model that proposed it, of what its operations go to, and of the plan before people
 * edited it. Channels are left out: administrators alone declare them, and they carry answers, no content.
 * @param fix.writers - of the fix's row
 * @returns ids of people, each once, in order
 */
export const submittersOfFix = async (
  executor: Executor,
  { plan, writers }: { plan: Plan; writers: Fix['writers'] },
  spec: ReconcileTargetSpec,
): Promise<string[]> => {
  const { source, target } = plan;
  const parts: Part[] = [
    { kind: 'ReconcileTarget', name: target },
    ...(source.kind === 'rule' ? [{ kind: 'ReconcileRule' as const, name: source.rule }] : []),
    ...(await partsOfModel(executor, plan)),
    ...(await partsOfOperations(executor, plan, spec)),
  ];
  const declared = await findSubmitters(executor, plan, parts);
  const edited = source.kind === 'person' ? [source.person] : [];
  return [...new Set([...declared, ...writers, ...edited])].sort();
};
