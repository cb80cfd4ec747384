import { PlatformError } from '../../schema/errors.ts';
import { objectKey, writeObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { HoldRequest } from '../../schema/reconcile/requests.ts';
import type { DeclaredTarget } from './reconcile-targets.ts';

/**
 * The key of the object that is to be held, out of what is declared; people say kind and name, and a namespace where two are of one name.
 * Empty: the whole target.
 * @throws {PlatformError} `request_invalid` where none or several are of that name
 */
export const heldObjectKey = ({ metadata, spec }: DeclaredTarget, object: HoldRequest['object']): string => {
  if (!object) return '';
  const { apiVersion, kind, name, namespace } = object;
  if (apiVersion !== undefined) return objectKey({ apiVersion, kind, name, namespace });
  if (spec.type !== 'kubernetes') return objectKey({ apiVersion: 'quarterdeck.dev/v1alpha1', kind, name, namespace });
  const declared = spec.manifests.map((manifest) => ({
    apiVersion: manifest.apiVersion,
    kind: manifest.kind,
    namespace: manifest.metadata.namespace ?? spec.namespace,
    name: manifest.metadata.name,
  }));
  const found = declared.filter(
    (one) => one.kind.toLowerCase() === kind.toLowerCase() && one.name === name && (namespace === '' || one.namespace === namespace),
  );
  const [only] = found;
  if (only && found.length === 1) return objectKey(only);
  const asked = writeObjectRef({ apiVersion: '', kind, namespace, name });
  throw new PlatformError(
    'request_invalid',
    found.length === 0
      ? `The target ${metadata.name} declares no ${asked}; it keeps ${declared.map(writeObjectRef).join(', ')}.`
      : `${asked} is not one object; say which: ${found.map(writeObjectRef).join(', ')}.`,
  );
};
