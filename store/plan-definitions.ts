import type { DefinitionKind } from '../schema/definition.ts';
import type { Definition, ObservedDefinition, ObservedDefinitions, ServerKey } from './definition.ts';
import { canonicalJson } from './resources.ts';

/** What is to be written so that the rows say what a server offers. */
export type DefinitionPlan = {
  rows: Definition[];
  forgotten: Pick<Definition, 'kind' | 'name'>[];
  /** Kinds that were looked at for the first time at this generation. */
  sights: DefinitionKind[];
};

type Look = {
  server: ServerKey & { generation: number };
  kind: DefinitionKind;
  /** First at this generation of the server's resource. */
  isFirst: boolean;
  /** What is without issues is approved by being seen. */
  approves: boolean;
};

const facts = ({ readOnly, destructive, idempotent, openWorld }: ObservedDefinition) => ({ readOnly, destructive, idempotent, openWorld });

const rowOf = (look: Look, observed: ObservedDefinition, known: Definition | undefined): Definition => {
  const { org, project, server, generation } = look.server;
  const { name, definition, hash, issues, warnings } = observed;
  const seen = { currentHash: hash, issues, warnings, approvedGeneration: generation };
  // what a person or an apply approved before is not asked about again
  if (known?.approvedHash === hash) return { ...known, ...seen, currentDefinition: null };
  const isApproved = look.approves && issues.length === 0;
  if (known && known.approvedHash !== '' && !isApproved) return { ...known, ...seen, currentDefinition: definition };
  return {
    org,
    project,
    server,
    kind: look.kind,
    name,
    definition,
    currentDefinition: null,
    ...facts(observed),
    ...seen,
    approvedHash: isApproved ? hash : '',
    cameLater: !look.isFirst && (known?.cameLater ?? true),
    approvedBy: null,
    quarantined: known?.quarantined ?? '',
  };
};

/** Of what is offered no more, only what was approved is kept, for a person to see. */
const planGone = (look: Look, known: Definition): Pick<DefinitionPlan, 'rows' | 'forgotten'> =>
  known.quarantined === '' && (known.approvedHash === '' || look.approves)
    ? { rows: [], forgotten: [known] }
    : { rows: [{ ...known, currentDefinition: null, currentHash: '', issues: [], warnings: [] }], forgotten: [] };

/**
 * Compares what a server offers with its rows.
 * @param sights - generation at which each kind was first looked at; a look at an older one than that changes nothing
 */
export const planDefinitions = (
  server: ServerKey & { generation: number },
  existing: readonly Definition[],
  sights: ReadonlyMap<DefinitionKind, number>,
  observed: ObservedDefinitions,
  { approvesFirstSight }: { approvesFirstSight: boolean },
): DefinitionPlan => {
  const plan: DefinitionPlan = { rows: [], forgotten: [], sights: [] };
  for (const [kind, offered] of Object.entries(observed) as [DefinitionKind, readonly ObservedDefinition[]][]) {
    const seenAt = sights.get(kind) ?? 0;
    if (seenAt > server.generation) continue;
    const isFirst = seenAt < server.generation;
    const look: Look = { server, kind, isFirst, approves: isFirst && approvesFirstSight };
    if (isFirst) plan.sights.push(kind);
    const known = new Map(existing.filter((row) => row.kind === kind).map((row) => [row.name, row]));
    for (const each of offered) {
      const before = known.get(each.name);
      known.delete(each.name);
      const row = rowOf(look, each, before);
      if (!before || canonicalJson(before) !== canonicalJson(row)) plan.rows.push(row);
    }
    for (const row of known.values()) {
      const gone = planGone(look, row);
      plan.rows.push(...gone.rows.filter(() => row.currentHash !== ''));
      plan.forgotten.push(...gone.forgotten);
    }
  }
  return plan;
};
