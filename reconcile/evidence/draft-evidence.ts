import { objectKey, writeObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { ObservedObject } from '../../schema/reconcile/observation.ts';
import { canonicalText } from '../canonical-text.ts';
import { createDriftMask } from '../mask-drift.ts';
import type { EvidenceInput, EvidenceItem } from './evidence-bundle.ts';
import { maskState } from './mask-secrets.ts';

const healthOrder = { degraded: 0, progressing: 1, unknown: 2, healthy: 3 } as const;
const mostNeighbours = 64;
const mostEarlier = 16;

/** An item before its place in the bundle is known. */
export type Draft = Omit<EvidenceItem, 'id' | 'cutBytes'>;

const symptomsOf = ({ ref, symptoms }: Pick<ObservedObject, 'ref' | 'symptoms'>): Draft[] =>
  symptoms.map(({ code, message, count }) => ({
    what: 'symptom',
    of: writeObjectRef(ref),
    text: `${code} ×${count}: ${message}`,
  }));

/** Things that are near each other by name come first, then the least well. */
const tellingFirst = (object: string, neighbours: readonly ObservedObject[]): ObservedObject[] => {
  const isNear = ({ ref }: ObservedObject): number => (ref.name.startsWith(object) ? 0 : 1);
  return neighbours.toSorted(
    (one, other) =>
      healthOrder[one.health] - healthOrder[other.health] ||
      isNear(one) - isNear(other) ||
      other.symptoms.length - one.symptoms.length ||
      (objectKey(one.ref) < objectKey(other.ref) ? -1 : 1),
  );
};

/** Items in groups, the most telling first; each group shares what those before it left. */
export const draftEvidence = (
  input: EvidenceInput,
  mask: (text: string) => string,
): { leftOut: number; groups: { share: number; drafts: Draft[] }[] } => {
  const { drift, observation, desired, conflicts, earlier } = input;
  const key = objectKey(drift.object);
  const written = writeObjectRef(drift.object);
  const stateText = (state: unknown): string => canonicalText(maskState(state, mask));
  const observed = observation.objects.filter(({ ref }) => objectKey(ref) === key);
  const declared = desired.status === 'read' ? desired.objects.filter(({ ref }) => objectKey(ref) === key) : [];
  const others = observation.objects.filter(({ ref }) => objectKey(ref) !== key);
  // what is declared beside it and well says what it may do: policies, rights, names of keys
  const all = [
    ...tellingFirst(drift.object.name, [
      ...others.filter(({ health }) => health !== 'healthy'),
      ...observation.neighbours.filter(({ health }) => health !== 'healthy'),
    ]),
    ...tellingFirst(
      drift.object.name,
      others.filter(({ health }) => health === 'healthy'),
    ),
    ...tellingFirst(
      drift.object.name,
      observation.neighbours.filter(({ health }) => health === 'healthy'),
    ),
  ];
  const ill = all.slice(0, mostNeighbours);
  const leftOut = all.length - ill.length + Math.max(0, earlier.length - mostEarlier);
  const sights: Draft[] = [
    // by its place first: of a value alone nobody sees that it is secret
    ...createDriftMask(input)
      .drift(drift)
      .fields.map((field): Draft => ({ what: 'drift', of: `${written}${field.path}`, text: stateText({ ...field }) })),
    ...symptomsOf({ ref: drift.object, symptoms: drift.symptoms }),
  ];
  const groups = [
    { share: 0.5, drafts: sights },
    {
      share: 0.4,
      drafts: [
        ...observed.map((each): Draft => ({ what: 'object', of: written, text: stateText(each.state) })),
        ...declared.map(({ state }): Draft => ({ what: 'declared', of: written, text: stateText(state) })),
      ],
    },
    { share: 0.6, drafts: ill.flatMap(symptomsOf) },
    {
      share: 0.7,
      drafts: earlier
        .toSorted((one, other) => (one.beganAt < other.beganAt ? 1 : -1))
        .slice(0, mostEarlier)
        .map(({ id, state, plan, message }): Draft => {
          const operations = plan?.steps.map(({ operation }) => operation) ?? [];
          return { what: 'earlier-fix', of: id, text: stateText({ state, message, operations }) };
        }),
    },
    {
      share: 0.5,
      drafts: conflicts.map(
        ({ object, path, manager, why }): Draft => ({
          what: 'conflict',
          of: `${writeObjectRef(object)}${path}`,
          text: `${why} by ${manager}`,
        }),
      ),
    },
    { share: 1, drafts: ill.map(({ ref, state }): Draft => ({ what: 'neighbour', of: writeObjectRef(ref), text: stateText(state) })) },
  ];
  return { leftOut, groups };
};
