import { z } from 'zod';

/**
 * Names one thing of a target. Of Kubernetes: `apiVersion`, `kind`, `namespace` (empty for what lies in none) and `name`. Of the platform:
 * `apiVersion` is `quarterdeck.dev/v1alpha1`, `kind` a kind of ours, `Tool`, `PolicyBundle`, `Agent`, `Worker` or `SigningKeys`, and
 * `namespace` the server, run or issuer it belongs to, or empty. Of MCP: `kind` is `Observation` and `name` that of the observation.
 */
export const ObjectRefSchema = z.strictObject({
  apiVersion: z.string().min(1).max(128),
  kind: z.string().min(1).max(128),
  namespace: z.string().max(253),
  name: z.string().min(1).max(512),
});
export type ObjectRef = z.infer<typeof ObjectRefSchema>;

/** `kind/namespace/name` for people; the version is left out. */
export const writeObjectRef = ({ kind, namespace, name }: ObjectRef): string => [kind, ...(namespace ? [namespace] : []), name].join('/');

/** One text for one thing, whatever version of it is asked for: `group/kind/namespace/name`. */
export const objectKey = ({ apiVersion, kind, namespace, name }: ObjectRef): string => {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return `${group}/${kind}/${namespace}/${name}`;
};
