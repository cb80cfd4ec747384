import { setTimeout as delay } from 'node:timers/promises';
import { isPlatformError, PlatformError, toPlatformError } from '../../schema/errors.ts';
import type { OperationIdentity } from '../../store/operations.ts';
import { principalName } from '../principal.ts';
import { auditEventOf, outcomeOf } from './record.ts';
import {
  argumentsDigest,
  isReadOnly,
  operationConflict,
  required,
  type ToolCall,
  type ToolCallStep,
  type ToolOutcome,
} from './tool-call.ts';

/** Ten minutes: longer than any restart of the database. */
const settleAttempts = 3000;
const settleDelayMs = 200;

/** Operations under way in this process: a retry that comes while the first is still running waits for the same answer. */
const underWay = new Map<string, { identity: OperationIdentity; outcome: Promise<ToolOutcome> }>();

const unknownOutcome = (call: ToolCall): PlatformError =>
  new PlatformError(
    'operation_unknown',
    `${call.name}: it is not known whether operation ${call.operationId} took effect, so it is not tried again. A person has to look.`,
    { facts: { operationId: call.operationId } },
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
const sendAndSettle = async (call: ToolCall, identity: OperationIdentity, next: () => Promise<ToolOutcome>): Promise<ToolOutcome> => {
  const { operations, logger } = call.gateway;
  let outcome: ToolOutcome;
  try {
    outcome = await next();
  } catch (thrown) {
    const error = toPlatformError(thrown);
    if (isPlatformError(thrown) && thrown.facts.wasSent === false) {
      await durably(() => operations.release(identity, auditEventOf(call, { kind: 'outcome', outcome: 'error', errorCode: error.code })));
      throw thrown;
    }
    logger.warn({ operationId: call.operationId, code: error.code }, 'an operation ended without an answer');
    await durably(() =>
      operations.markUnknown(identity, auditEventOf(call, { kind: 'outcome', outcome: 'unknown', errorCode: 'operation_unknown' })),
    );
    throw unknownOutcome(call);
  }
  await durably(() => operations.settle(identity, outcome, auditEventOf(call, { kind: 'outcome', outcome: outcomeOf(outcome) })));
  return outcome;
};

const begin = async (call: ToolCall, identity: OperationIdentity, next: () => Promise<ToolOutcome>): Promise<ToolOutcome> => {
  const start = await call.gateway.operations.begin(identity, auditEventOf(call, { kind: 'intent', outcome: 'pending' }));
  call.isReplay = start.kind !== 'started';
  switch (start.kind) {
    case 'started':
      return sendAndSettle(call, identity, next);
    case 'settled':
      return start.outcome as ToolOutcome;
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

const isSame = (a: OperationIdentity, b: OperationIdentity): boolean =>
  a.principal === b.principal && a.target === b.target && a.argumentsDigest === b.argumentsDigest;

/**
 * Commits the intent of a call that may have an effect before it is forwarded, and its outcome after. A retry with the same
 * operation id finds the outcome; an operation whose end nobody saw is never made again.
 */
export const intend: ToolCallStep = (call, next) => {
  if (isReadOnly(call)) return next();
  const tool = required(call.tool, 'the tool');
  const identity: OperationIdentity = {
    ...tool.tenancy,
    id: call.operationId,
    principal: principalName(call.principal),
    target: `${tool.server.metadata.name}/${tool.tool.name}`,
    argumentsDigest: argumentsDigest(call),
  };
  const key = `${identity.org}/${identity.project}/${identity.id}`;
  const running = underWay.get(key);
  if (running) {
    call.isReplay = true;
    return isSame(running.identity, identity) ? running.outcome : Promise.reject(operationConflict(call));
  }
  const outcome = begin(call, identity, next).finally(() => underWay.delete(key));
  underWay.set(key, { identity, outcome });
  return outcome;
};
