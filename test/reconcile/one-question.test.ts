import { expect, test } from 'vitest';
import { objectOfFault, questionAhead, unwellSince } from '../../reconcile/one-question.ts';
import type { Drift } from '../../schema/reconcile/drift.ts';
import type { FixReview } from '../../schema/reconcile/fix-review.ts';

const ref = (name: string) => ({ apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name });
const drift = (kind: Drift['kind'], name = 'web', codes: string[] = []): Drift => ({
  ...{ kind, object: ref(name), fields: [], faultKind: `${kind} Deployment` },
  symptoms: codes.map((code) => ({ code, message: '', count: 1 })),
  fingerprint: `${kind} Deployment @ apps/Deployment/shop/${name}`,
});
const asked = (of: Drift) => ({ fingerprint: of.fingerprint, review: { drift: of } as FixReview });

test('a fault says which object it is at', () => {
  expect(objectOfFault(drift('added').fingerprint)).toBe('apps/Deployment/shop/web');
});

test('what was added and what is not well wait for the answer about the same object; what is put back at once waits for nobody', () => {
  const added = asked(drift('added'));
  expect(questionAhead(drift('unhealthy'), [added])).toBe(added);
  expect(questionAhead(drift('added'), [asked(drift('unhealthy'))])).toBeDefined();
  expect(questionAhead(drift('added'), [added]), 'itself').toBeUndefined();
  expect(questionAhead(drift('unhealthy', 'web-2'), [added])).toBeUndefined();
  for (const kind of ['changed', 'missing', 'deleting', 'extra'] as const) expect(questionAhead(drift(kind), [added])).toBeUndefined();
});

test('a question is asked anew where the object became unwell after it, once, and not for what it showed already', () => {
  const ill = drift('unhealthy', 'web', ['CrashLoopBackOff']);
  expect(unwellSince(asked(drift('added')), [ill])).toBe(ill);
  expect(unwellSince(asked(drift('added', 'web', ['OOMKilled'])), [ill])).toBeUndefined();
  expect(unwellSince(asked(drift('added')), [drift('unhealthy', 'web-2', ['OOMKilled'])])).toBeUndefined();
  expect(unwellSince(asked(drift('added')), [drift('unhealthy')]), 'of which nothing could be shown').toBeUndefined();
  expect(unwellSince(asked(drift('changed')), [ill])).toBeUndefined();
});
