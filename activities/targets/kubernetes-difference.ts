import type { KubernetesObject } from './kubernetes-client.ts';
import { escapePointer } from './kubernetes-fields.ts';

/** One field that changes: without `before` it was not there, without `after` it goes. */
export type FieldChange = { path: string; before?: KubernetesObject; after?: KubernetesObject };

const isRecord = (value: unknown): value is Record<string, KubernetesObject> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

const changeOf = (path: string, before: KubernetesObject, after: KubernetesObject): FieldChange => ({
  path,
  ...(before === undefined ? {} : { before }),
  ...(after === undefined ? {} : { after }),
});

/** What differs between two states, field by field. Lists of one length are compared item by item; items added at the end are additions; else the list changes as a whole. */
export const differences = (before: KubernetesObject, after: KubernetesObject, at = ''): FieldChange[] => {
  if (isRecord(before) && isRecord(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) => differences(before[name], after[name], `${at}/${escapePointer(name)}`));
  }
  if (Array.isArray(before) && Array.isArray(after) && after.length >= before.length) {
    const inner = after.flatMap((item, index) => differences(before[index], item, `${at}/${index}`));
    // when most of a short list differs one still reads item by item: the pointers are what people are shown
    return inner;
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [changeOf(at, before, after)];
};

/**
 * The same as a JSON patch (RFC 6902) that only fits the version that was compared: with another `resourceVersion` the API server
 * answers 409.
 */
export const jsonPatch = (changes: readonly FieldChange[], resourceVersion: string): object[] => [
  { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
  ...changes.map(({ path, before, after }) => {
    if (after === undefined) return { op: 'remove', path };
    return { op: before === undefined ? 'add' : 'replace', path, value: after };
  }),
];
