import type { Drift, FieldDrift } from '../schema/reconcile/drift.ts';
import { type ObjectRef, objectKey } from '../schema/reconcile/object-ref.ts';
import type { Desired, Observation } from '../schema/reconcile/observation.ts';
import type { DryRun } from '../schema/reconcile/plan.ts';
import { createMask, isSecretPlace, masked, maskState, secretValues } from './evidence/mask-secrets.ts';
import { pointerParts, valueAt } from './json-pointer.ts';

type Json = NonNullable<FieldDrift['desired']> | null;

/**
 * Takes secrets out of what is written down of a drift and shown to people: values that stand where secrets do (of a Secret, of a variable or
 * a field whose name says so), and these values wherever else they appear. What is planned and applied is not made of this.
 * @param seen.redact - takes out what is known as secret or looks like it; telemetry's `redactor.text`
 */
export const createDriftMask = ({
  desired,
  observation,
  redact,
}: {
  desired: Desired;
  observation: Observation;
  redact: (text: string) => string;
}) => {
  const things = [
    ...(observation.status === 'read' ? [...observation.objects, ...observation.neighbours] : []),
    ...(desired.status === 'read' ? desired.objects : []),
  ];
  const text = createMask(secretValues(things.map(({ state }) => state)), redact);

  const value = (states: readonly unknown[], path: string, one: Json): Json => {
    const parts = pointerParts(path);
    const around = path.slice(0, path.lastIndexOf('/'));
    const isSecret = parts.length > 0 && states.some((state) => isSecretPlace({ state, holder: valueAt(state, around), parts }));
    const isWhole = isSecret && one !== null && (typeof one !== 'object' || parts[0] === 'data' || parts[0] === 'stringData');
    return isWhole ? masked : (maskState(one, text) as Json);
  };

  const statesOf = (object: ObjectRef): unknown[] =>
    things.filter(({ ref }) => objectKey(ref) === objectKey(object)).map(({ state }) => state);

  return {
    text,
    drift: (drift: Drift): Drift => {
      const states = statesOf(drift.object);
      return {
        ...drift,
        fields: drift.fields.map(({ desired: wanted, observed, ...field }) => ({
          ...field,
          ...(wanted === undefined ? {} : { desired: value(states, field.path, wanted) }),
          ...(observed === undefined ? {} : { observed: value(states, field.path, observed) }),
        })),
        symptoms: drift.symptoms.map((symptom) => ({ ...symptom, message: text(symptom.message) })),
      };
    },
    dryRun: (object: ObjectRef, run: DryRun): DryRun => {
      if (!run.ok) return { ...run, message: text(run.message) };
      const states = statesOf(object);
      return {
        ok: true,
        diff: run.diff.map(({ path, before, after }) => ({
          path,
          ...(before === undefined ? {} : { before: value(states, path, before) }),
          ...(after === undefined ? {} : { after: value(states, path, after) }),
        })),
      };
    },
  };
};
export type DriftMask = ReturnType<typeof createDriftMask>;
