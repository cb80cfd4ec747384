import { randomUUID } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import { operationIdMeta } from '../../schema/workflow-contract.ts';
import type { Round } from './client-request.ts';

const form = /^[\x21-\x7e]{1,256}$/;

const namedId = (meta: Readonly<Record<string, unknown>> | undefined, header: string | null | undefined): string | undefined => {
  const inMeta = meta?.[operationIdMeta];
  if (inMeta !== undefined && typeof inMeta !== 'string')
    throw new PlatformError('request_invalid', `\`_meta["${operationIdMeta}"]\` is not a string.`);
  if (inMeta !== undefined && header && inMeta !== header)
    throw new PlatformError('request_invalid', `\`_meta["${operationIdMeta}"]\` and Idempotency-Key name two operations.`);
  const named = inMeta ?? header ?? undefined;
  if (named !== undefined && !form.test(named))
    throw new PlatformError('request_invalid', 'An operation id is 1 to 256 visible ASCII characters without spaces.');
  return named;
};

/**
 * The operation id of a call: from `_meta`, else the `Idempotency-Key` header, else one of our own. The two must agree.
 * A later round of a call is an operation of its own, so that its outcome is found by whoever makes that round again.
 */
export const readOperationId = (
  meta: Readonly<Record<string, unknown>> | undefined,
  header: string | null | undefined,
  round?: Round,
): { operationId: string; isNamedOperation: boolean } => {
  const named = namedId(meta, header) ?? round?.operationId;
  if (named === undefined) return { operationId: `op_${randomUUID()}`, isNamedOperation: false };
  return { operationId: round ? `${named}/round-${round.number + 1}` : named, isNamedOperation: true };
};
