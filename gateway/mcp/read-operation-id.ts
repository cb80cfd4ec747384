import { randomUUID } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import { operationIdMeta } from '../../schema/workflow-contract.ts';

const form = /^[\x21-\x7e]{1,256}$/;

/** The operation id of a call: from `_meta`, else the `Idempotency-Key` header, else one of our own. The two must agree. */
export const readOperationId = (
  meta: Readonly<Record<string, unknown>> | undefined,
  header: string | null | undefined,
): { operationId: string; isNamedOperation: boolean } => {
  const inMeta = meta?.[operationIdMeta];
  if (inMeta !== undefined && typeof inMeta !== 'string')
    throw new PlatformError('request_invalid', `\`_meta["${operationIdMeta}"]\` is not a string.`);
  if (inMeta !== undefined && header && inMeta !== header)
    throw new PlatformError('request_invalid', `\`_meta["${operationIdMeta}"]\` and Idempotency-Key name two operations.`);
  const named = inMeta ?? header ?? undefined;
  if (named === undefined) return { operationId: `op_${randomUUID()}`, isNamedOperation: false };
  if (!form.test(named)) throw new PlatformError('request_invalid', 'An operation id is 1 to 256 visible ASCII characters without spaces.');
  return { operationId: named, isNamedOperation: true };
};
