import type { Drift } from '../schema/reconcile/drift.ts';
import type { Fix } from '../schema/reconcile/fix.ts';
import { objectKey } from '../schema/reconcile/object-ref.ts';

/** The `objectKey` of what a fault is at. */
export const objectOfFault = (fingerprint: string): string => fingerprint.slice(fingerprint.indexOf(' @ ') + 3);

type Asked = Pick<Fix, 'fingerprint' | 'review'>;
const isAt = ({ fingerprint }: Pick<Asked, 'fingerprint'>, drift: Drift): boolean => objectOfFault(fingerprint) === objectKey(drift.object);

/**
 * The fix that people are asked about and that a drift waits for: of one object they are asked one thing at a time. What was added may be why it
 * is not well, and the other way round, and the question shows both. What is put back at once waits for nobody.
 * @param awaiting - fixes that wait for people
 */
export const questionAhead = <One extends Asked>(drift: Drift, awaiting: readonly One[]): One | undefined =>
  drift.kind === 'added' || drift.kind === 'unhealthy'
    ? awaiting.find((fix) => fix.fingerprint !== drift.fingerprint && isAt(fix, drift))
    : undefined;

/** What people were asked about has become unwell since, and their question does not show it: the drift that says so. */
export const unwellSince = ({ review, ...asked }: Asked, drifts: readonly Drift[]): Drift | undefined =>
  review?.drift.kind === 'added' && review.drift.symptoms.length === 0
    ? drifts.find((drift) => drift.kind === 'unhealthy' && drift.symptoms.length > 0 && isAt(asked, drift))
    : undefined;
