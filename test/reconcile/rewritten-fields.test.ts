import { expect, test } from 'vitest';
import { canonicalText } from '../../reconcile/canonical-text.ts';
import { rewrittenFields, withoutFields } from '../../reconcile/rewritten-fields.ts';

const pod = (more: object) => ({ spec: { replicas: 2, containers: [{ name: 'app', image: 'a:1', ...more }] } });
const found = (sent: { path: string; after?: unknown }[], answered: unknown) => rewrittenFields(sent, answered, canonicalText);

test('only a field that was sent, and answered otherwise in the same request, is one that somebody rewrites', () => {
  const sent = [
    { path: '/spec/replicas', after: 2 },
    { path: '/spec/containers/0/image', after: 'a:1' },
  ];
  expect(found(sent, pod({}))).toBeUndefined();
  expect(found(sent, pod({ image: 'mirror/a:1' }))?.paths).toEqual(['/spec/containers/0/image']);
  // what it gets besides is not looked away from: a person may change that
  expect(found(sent, pod({ env: [{ name: 'SIDECAR', value: 'r1' }] }))).toBeUndefined();
  expect(found([{ path: '/spec/containers/0', after: { name: 'app', image: 'a:1' } }], pod({ imagePullPolicy: 'Always' }))).toBeUndefined();
  // a field that was to go and is there again
  expect(found([{ path: '/spec/containers/0/env' }], pod({ env: [] }))?.paths).toEqual(['/spec/containers/0/env']);
});

test('one amount in two spellings, and a thing that was made, are no such fields', () => {
  expect(found([{ path: '/spec/containers/0/cpu', after: '1000m' }], pod({ cpu: '1' }))).toBeUndefined();
  expect(found([{ path: '/spec/containers/0/cpu', after: '1000m' }], pod({ cpu: '2' }))?.paths).toEqual(['/spec/containers/0/cpu']);
  expect(found([{ path: '', after: pod({}) }], pod({ image: 'other' }))).toBeUndefined();
});

test('states are the same without the field, and other with any other', () => {
  const paths = ['/spec/containers/0/image', '/spec/none/at/all'];
  const without = (state: unknown) => canonicalText(withoutFields(state, paths));
  expect(without(pod({ image: 'r1' }))).toBe(without(pod({ image: 'r2' })));
  expect(without(pod({ image: 'r1' }))).not.toBe(without(pod({ image: 'r1', tty: true })));
  expect(canonicalText(withoutFields({ list: ['a', 'b'] }, ['/list/0']))).toBe('{"list":[null,"b"]}');
});
