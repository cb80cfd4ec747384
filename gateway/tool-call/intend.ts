import { setTimeout as delay } from 'node:timers/promises';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { isPlatformError, PlatformError, toPlatformError } from '../../schema/errors.ts';
import { operationText } from '../../store/operation-outcome.ts';
import type { OperationIdentity } from '../../store/operations.ts';
import type { Reply } from '../mcp/message.ts';
import { traceOf } from '../mcp/trace-context.ts';
import { PassingMap } from '../passing-map.ts';
import { principalName } from '../principal.ts';
import { outcomeFound } from './outcome-found.ts';
import { auditEventOf, outcomeOf } from './record.ts';
import { argumentsDigest, isReadOnly, operationConflict, required, type ToolCall, type ToolCallStep } from './tool-call.ts';

/** Ten minutes: longer than any restart of the database. */
const settleAttempts = 3000;
const settleDelayMs = 200;

/** Operations under way in this process: a retry that comes while the first is still running waits for the same answer. */
const underWay = new PassingMap<string, { identity: OperationIdentity; outcome: Promise<Reply> }>();

const unknownOutcome = (call: ToolCall): PlatformError =>
  new PlatformError(
    'operation_unknown',
    `${call.name}: it is not known whether operation ${call.operationId} took effect, so it is not tried again. A person has to look.`,
    // doing it twice is doing it once: such a tool may be called again, as another operation
    { facts: { operationId: call.operationId, retryable: call.tool?.pinned.idempotent ?? false } },
  );

/** The call was made, so what became of it is written down even when the database comes back only after a while. */
const durably = async (write: () => Promise<void>): Promise<void> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await write();
    } catch (error) {
      if (!isPlatformError(error) || error.code !== 'store_unavailable' || attempt >= settleAttempts) throw error;
      await delay(settleDelayMs);
    }
  }
};

/** Sends, and commits what became of it. Whatever cannot be known for sure is `unknown`, for good. */
const sendAndSettle = async (call: ToolCall, identity: OperationIdentity, next: () => Promise<Reply>): Promise<Reply> => {
  const { gateway } = call;
  const { operations, logger } = gateway;
  const ended = (rest: Parameters<typeof auditEventOf>[1]): NewAuditEvent => {
    const event = auditEventOf(call, rest);
    gateway.observe?.(event, traceOf(call.request));
    return event;
  };
  let outcome: Reply;
  try {
    outcome = await next();
  } catch (thrown) {
    const error = toPlatformError(thrown);
    if (isPlatformError(thrown) && thrown.facts.wasSent === false) {
      const event = ended({ kind: 'outcome', outcome: 'error', errorCode: error.code });
      await durably(() => operations.release(identity, event));
      throw thrown;
    }
    logger.warn({ operationId: call.operationId, code: error.code }, 'an operation ended without an answer');
    const event = ended({ kind: 'outcome', outcome: 'unknown', errorCode: 'operation_unknown' });
    await durably(() => operations.markUnknown(identity, event));
    throw unknownOutcome(call);
  }
  const event = ended({ kind: 'outcome', outcome: outcomeOf(outcome) });
  // Of an operation without a name nobody can ask what became of it, so its answer does not wait until that is written down: whoever is
  // answered knows it, and where a kill comes between, the intent stands without an outcome, which is what is then known.
  if (identity.isNamed === false) gateway.audit.write(event);
  else await durably(() => operations.settle(identity, outcome, event));
  return outcome;
};

const begin = async (call: ToolCall, identity: OperationIdentity, next: () => Promise<Reply>): Promise<Reply> => {
  const start = await call.gateway.operations.begin(identity, auditEventOf(call, { kind: 'intent', outcome: 'pending' }));
  call.isReplay = start.kind !== 'started';
  switch (start.kind) {
    case 'started':
      return sendAndSettle(call, identity, next);
    case 'settled':
      return outcomeFound(start.outcome);
    case 'forgotten':
      throw new PlatformError(
        'content_missing',
        `${call.name}: operation ${call.operationId} was made, and what it ended with was removed by the retention of its project. It is not made again.`,
      );
    case 'in-progress':
      throw new PlatformError(
        'operation_in_progress',
        `${call.name}: operation ${call.operationId} is still running; ask again in a moment.`,
      );
    case 'unknown':
      throw unknownOutcome(call);
    case 'conflict':
      throw operationConflict(call);
  }
};

const isSame = (a: OperationIdentity, b: OperationIdentity): boolean => a.target === b.target && a.argumentsDigest === b.argumentsDigest;

/**
 * Commits the intent of a call that may have an effect before it is forwarded, and its outcome after. A retry with the same
 * operation id finds the outcome; an operation whose end nobody saw is never made again.
 */
export const intend: ToolCallStep = (call, next) => {
  if (isReadOnly(call)) return next();
  const tool = required(call.tool, 'the tool');
  let digest: string | undefined;
  const identity: OperationIdentity = {
    ...tool.tenancy,
    id: call.operationId,
    isNamed: call.isNamedOperation,
    principal: principalName(call.request.principal),
    target: `${tool.server.metadata.name}/${tool.pinned.name}`,
    // nobody asks again for what has no name, so its digest is seldom needed
    get argumentsDigest() {
      digest ??= argumentsDigest(call);
      return digest;
    },
  };
  const { standing } = call.request;
  if (standing) standing.operation = { ...tool.tenancy, id: call.operationId };
  if (!call.isNamedOperation) return begin(call, identity, next);
  const key = operationText(identity);
  const running = underWay.get(key);
  if (running) {
    call.isReplay = true;
    return isSame(running.identity, identity) ? running.outcome : Promise.reject(operationConflict(call));
  }
  const outcome = begin(call, identity, next).finally(() => underWay.delete(key));
  underWay.set(key, { identity, outcome });
  return outcome;
};
