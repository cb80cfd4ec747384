import type { Tenancy } from '../../schema/ids.ts';

/** The resource that refers to a secret, and by which field: errors name both, and stores give only what is its tenant's. */
export type SecretOwner = Tenancy & { kind: string; name: string; field: string };

/** The resource's place, with which each message about its secret begins. */
export const ownerText = ({ org, project, kind, name, field }: SecretOwner): string => `${kind} ${org}/${project}/${name}, \`${field}\``;
