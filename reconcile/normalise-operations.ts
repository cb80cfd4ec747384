import type { Plan } from '../schema/reconcile/plan.ts';
import { canonicalText } from './canonical-text.ts';

/** What is the same fix elsewhere: the operations in their order, of each object only its kind; equal text is the same fix. */
export const normaliseOperations = ({ steps }: Pick<Plan, 'steps'>): string =>
  canonicalText(
    steps.map(({ operation: { object, ...said } }) => ({
      ...said,
      kind: object.kind,
      group: object.apiVersion.split('/').slice(0, -1).join('/'),
    })),
  );
