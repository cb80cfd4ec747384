import { beforeAbort } from '../../activities/targets/before-abort.ts';
import { changedSince, changedStep } from '../../reconcile/changed-step.ts';
import type { Approval } from '../../schema/approval.ts';
import { PlatformError } from '../../schema/errors.ts';
import { getApproval } from '../../store/approvals.ts';
import type { ApiDependencies } from './api-dependencies.ts';
import { describeCause } from './describe-cause.ts';
import { findWaitingFix } from './permit-fix.ts';
import { getTarget } from './reconcile-targets.ts';

/** A person waits for the answer; what does not answer by then is looked at by the workflow before anything runs. */
const lookWithinMs = 5_000;

/**
 * Refuses an approval of a fix whose objects have moved on since its plan was made, and has the target looked at, which offers a new one. It
 * spares people an approval that comes to nothing; that nothing stale runs is not due to it.
 * @throws {PlatformError} `conflict`
 */
export const refuseMovedFix = async (
  { database, targetPorts, temporal, logger }: Pick<ApiDependencies, 'database' | 'targetPorts' | 'temporal' | 'logger'>,
  approval: Approval,
): Promise<void> => {
  if (approval.state !== 'pending') return;
  const { org, project, target: name, plan } = await findWaitingFix({ database }, approval);
  const key = { org, project, target: name };
  const { generation, spec } = await getTarget(database, key);
  const port = targetPorts.of(spec.type);
  if (!port) return;
  const late = AbortSignal.timeout(lookWithinMs);
  const observation = await beforeAbort(port.observe({ org, project, name, generation, spec }, late), late).catch((error) => {
    logger.warn({ cause: describeCause(error), target: name }, 'a target was not looked at before an approval');
    return undefined;
  });
  const step = observation?.status === 'read' ? changedStep(plan, observation) : -1;
  // what another approved meanwhile has moved it: they are told that, and by whom
  if (step < 0 || (await getApproval(database, approval)).state !== 'pending') return;
  await temporal
    .startReconcile(key)
    .catch((error) => logger.warn({ cause: describeCause(error), target: name }, 'a target was not looked at at once'));
  throw new PlatformError(
    'conflict',
    `${approval.id} is stale. ${changedSince(step)} Nothing is done by it; where it is still not as declared people are asked anew: \`quarterdeck reconcile status ${name}\`.`,
  );
};
