import { authenticate } from './authenticate.ts';
import { authorize } from './authorize.ts';
import { forward } from './forward.ts';
import { halt } from './halt.ts';
import { label } from './label.ts';
import { limit } from './limit.ts';
import { type Answer, type ModelCall, type ModelCallStep, runSteps } from './model-call.ts';
import { receive } from './receive.ts';
import { record } from './record.ts';
import { resolve } from './resolve.ts';
import { settle } from './settle.ts';

/** A model call, top to bottom. */
export const callModelSteps = [
  record, // wraps the rest: audit row for every outcome, refusals too
  authenticate, // bearer token -> principal; audience must be `/v1` of this gateway
  receive, // body -> chat request: size, duplicate keys, depth, fields that would go around the alias or the checks
  resolve, // alias -> model of the caller's project; what may never be used is unknown
  halt, // the brake: what is halted does not begin, and is cut
  limit, // a step and the worst case in tokens, set aside before anything happens
  settle, // wraps the rest: the true cost in the place of the reserved one, before the caller has the end of the answer
  label, // what the caller has read so far joins the facts
  authorize, // policy decision on principal, model and tokens
  forward, // to the first route that answers; aborted when the caller leaves
] as const satisfies readonly ModelCallStep[];

/** @throws {PlatformError} each refusal and failure of the steps; {CallerLeft} where nobody waits any more */
export const callModel = (call: ModelCall): Promise<Answer> => runSteps(callModelSteps, call);
