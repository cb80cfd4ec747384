import {
  ActivityFailure,
  ApplicationFailure,
  condition,
  continueAsNew,
  defineSignal,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ParkReason } from '../schema/run.ts';
import { type AgentEnding, type AgentWorkflowInput, type ApprovalDecided, approvalDecidedSignal } from '../schema/workflow-contract.ts';
import { modelActivities, openingActivities, rowActivities, toolActivities } from './activity-options.ts';

/** The error code of an activity that was given up, where it had one. */
export const codeOf = (error: unknown): string | null =>
  error instanceof ActivityFailure && error.cause instanceof ApplicationFailure ? (error.cause.type ?? null) : null;

/**
 * One agent: the model's step, the calls it asked for, the model's next step, until its answer is valid or a limit parks it. The
 * history holds ids, digests and counts; a long conversation continues as new and goes on from the transcript in the agent's row.
 * A call that needs a person is made again when its approval was decided, and what is halted when that was lifted. The signal says only that: the row is read by the call. Histories
 * from before that have no such result, so this needs no `patched`.
 */
export async function agent({ agentId }: AgentWorkflowInput): Promise<AgentEnding> {
  const { openAgent } = openingActivities();
  const { callModel } = modelActivities();
  const { callTool } = toolActivities();
  const { parkAgent } = rowActivities();
  let atStake: ParkReason = 'tool_failed';
  const decided = new Set<string>();
  setHandler(defineSignal<[ApprovalDecided]>(approvalDecidedSignal), ({ approvalId }) => void decided.add(approvalId));

  try {
    const opened = await openAgent({ agentId });
    if (opened.kind === 'ended') return { agentId, state: opened.state, reason: opened.reason };
    let { transcriptDigest, pendingCalls } = opened;

    while (!workflowInfo().continueAsNewSuggested) {
      while (pendingCalls > 0) {
        atStake = 'tool_failed';
        const called = await callTool({ agentId, transcriptDigest });
        if (called.kind === 'ended') return { agentId, state: called.state, reason: called.reason };
        if (called.kind === 'waits') await condition(() => decided.delete(called.approvalId), called.waitMs);
        else ({ transcriptDigest, pendingCalls } = called);
      }
      atStake = 'model_failed';
      const step = await callModel({ agentId, transcriptDigest });
      if (step.kind === 'ended') return { agentId, state: step.state, reason: step.reason };
      if (step.kind === 'waits') {
        await condition(() => decided.delete(step.approvalId), step.waitMs);
        continue;
      }
      transcriptDigest = step.transcriptDigest;
      pendingCalls = step.kind === 'calls' ? step.calls.length : 0;
    }
  } catch (error) {
    // the shard closes the rows of agents that were cancelled
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    const parked = await parkAgent({ agentId, reason: atStake, code: codeOf(error) });
    return { agentId, state: parked.state, reason: parked.reason };
  }
  return continueAsNew<typeof agent>({ agentId });
}
