import type { Conflict, Drift, FieldDrift } from '../schema/reconcile/drift.ts';
import { type ObjectRef, objectKey } from '../schema/reconcile/object-ref.ts';
import type { Desired, Observation, ObservedObject, Symptom } from '../schema/reconcile/observation.ts';
import { compareState } from './compare-state.ts';
import { deriveSymptoms } from './derive-symptoms.ts';
import { type Hold, isHeld, ourManager, ownersAt, whyLeft } from './field-ownership.ts';
import { judgeUndeclared } from './judge-undeclared.ts';
import type { TargetOf } from './target-port.ts';

type Diff = { drifts: Drift[]; conflicts: Conflict[] };

/** The same kind of fault at any object: without names, indexes and what changes from look to look (messages, counts). */
const nameFault = (kind: Drift['kind'], ref: ObjectRef, fields: readonly FieldDrift[], symptoms: readonly Symptom[]): string => {
  const paths = [...new Set(fields.map(({ path }) => path.replaceAll(/\/\d+(?=\/|$)/g, '/*')))].sort();
  // symptoms of what differs come and go while it is mended; of what is only unwell they are all there is
  const codes = kind === 'unhealthy' ? [...new Set(symptoms.map(({ code }) => code))].sort() : [];
  return [kind, ref.kind, ...paths.slice(0, 8), ...codes.slice(0, 8)].join(' ');
};

const drift = (kind: Drift['kind'], ref: ObjectRef, fields: FieldDrift[] = [], symptoms: Symptom[] = []): Drift => {
  const faultKind = nameFault(kind, ref, fields, symptoms);
  return { kind, object: ref, fields, symptoms, fingerprint: `${faultKind} @ ${objectKey(ref)}`, faultKind };
};

const unreadable = (message: string): Symptom => ({ code: 'Unreadable', message, count: 1 });

/**
 * Differences between what was declared and what is seen. Of what cannot be read nothing is said: not missing, not extra. Fields that are
 * ignored are silent; held ones, those of autoscalers and of other appliers are conflicts, to report and not to mend.
 * @param now - milliseconds since the epoch
 */
export const diffTarget = ({
  target,
  desired,
  observation,
  holds,
  now,
}: {
  target: TargetOf;
  desired: Desired;
  observation: Observation;
  holds: readonly Hold[];
  now: number;
}): Diff => {
  const result: Diff = { drifts: [], conflicts: [] };
  if (desired.status !== 'read' || observation.status !== 'read') return result;
  const seen = new Map(observation.objects.map((object) => [objectKey(object.ref), object]));
  for (const declared of desired.objects) {
    const { ref, state } = declared;
    const object = seen.get(objectKey(ref));
    if (
      isHeld(holds, objectKey(ref), '', now) &&
      holds.some(({ path, object: held }) => path === '' && (held === '' || held === objectKey(ref)))
    )
      result.conflicts.push({ object: ref, path: '', manager: '', why: 'held' });
    else if (object === undefined) result.drifts.push(drift('missing', ref));
    else if (object.deletingSince !== '') result.drifts.push(drift('deleting', ref, [], object.symptoms));
    // of what is not there to be compared nothing differs; that it cannot be read is a fault of this object alone
    else if (object.unreadable !== undefined) result.drifts.push(drift('unhealthy', ref, [], [unreadable(object.unreadable)]));
    else {
      const fields: FieldDrift[] = [];
      for (const { path, desired: wanted, observed } of compareState(state, object.state)) {
        const owners = ownersAt(object.owners, path);
        const manager = owners.find(({ manager: name }) => name !== ourManager)?.manager ?? owners[0]?.manager ?? '';
        const why = whyLeft(target.spec.ignore, holds, observation, object, path, now);
        if (why === undefined)
          fields.push({
            path,
            manager,
            ...(wanted === undefined ? {} : { desired: wanted as FieldDrift['desired'] }),
            ...(observed === undefined ? {} : { observed: observed as FieldDrift['observed'] }),
          });
        else if (why !== 'ignored') result.conflicts.push({ object: ref, path, manager, why });
      }
      const undeclared = judgeUndeclared({ ignore: target.spec.ignore, holds, nowMs: now }, declared, object);
      result.conflicts.push(...undeclared.held.map(({ path, manager }) => ({ object: ref, path, manager, why: 'held' as const })));
      fields.push(...undeclared.dropped);
      if (fields.length > 0) result.drifts.push(drift('changed', ref, fields, object.symptoms));
      const derived = fields.length === 0 ? deriveSymptoms(object) : [];
      const symptoms = [...object.symptoms, ...derived];
      // a drift of its own: it is another's doing, waits for people, and holds up nothing of what is put back at once
      if (undeclared.added.length > 0) result.drifts.push(drift('added', ref, undeclared.added, symptoms));
      if (fields.length === 0 && (object.health === 'degraded' || derived.length > 0))
        result.drifts.push(drift('unhealthy', ref, [], symptoms));
    }
  }
  const extra = findExtra(target, desired.objects, observation.objects, holds, now);
  result.drifts.push(...extra.filter(({ unreadable: why }) => why === undefined).map(({ ref }) => drift('extra', ref)));
  for (const { ref, unreadable: why } of extra)
    if (why !== undefined) result.conflicts.push({ object: ref, path: '', manager: '', why: 'unreadable' });
  return result;
};

/** Ours and declared no more. An empty declaration prunes nothing: it is far more often a mistake than a wish. */
const findExtra = (
  { spec }: TargetOf,
  desired: Extract<Desired, { status: 'read' }>['objects'],
  objects: readonly ObservedObject[],
  holds: readonly Hold[],
  now: number,
): ObservedObject[] => {
  if (desired.length === 0 || (spec.type === 'kubernetes' && !spec.prune)) return [];
  const declared = new Set(desired.map(({ ref }) => objectKey(ref)));
  return objects
    .filter(({ ref, isOurs, deletingSince }) => isOurs && deletingSince === '' && !declared.has(objectKey(ref)))
    .filter(({ ref }) => !isHeld(holds, objectKey(ref), '', now));
};
