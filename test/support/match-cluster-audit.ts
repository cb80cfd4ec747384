import type { AuditEvent } from '../../schema/audit-event.ts';
import type { AuditEntry } from './kube-cluster.ts';

const nameOf = ({ verb, requestURI }: AuditEntry): string => `${verb} ${requestURI.split('?')[0]}`;

/** Whether a write of the cluster's journal is the one that a row speaks of: by the operation id that it left in the object, or, of a deletion, by name and time. */
const isOf = (write: AuditEntry, intent: AuditEvent, outcome: AuditEvent): boolean => {
  if (write.verb !== 'delete') return JSON.stringify(write.requestObject ?? '').includes(`"${intent.operationId}"`);
  const at = Date.parse(write.requestReceivedTimestamp);
  const name = String(intent.facts.object).split('/').at(-1) ?? '';
  return write.objectRef?.name === name && at >= Date.parse(intent.at) - 1000 && at <= Date.parse(outcome.at) + 1000;
};

/**
 * Holds the cluster's own journal against the audit. `unrecorded`: writes of ours that no row speaks of. `unseen`: rows of an effect that the
 * cluster knows nothing of. Each write is of one row, and each row of writes to one object.
 * @param writes - those that the API server granted
 */
export const matchClusterAudit = (
  writes: readonly AuditEntry[],
  events: readonly AuditEvent[],
): { unrecorded: string[]; unseen: string[] } => {
  const steps = events
    .filter(({ action, kind }) => action === 'applyFix' && kind === 'intent')
    .flatMap((intent) => {
      const outcome = events.find((one) => one.action === 'applyFix' && one.kind === 'outcome' && one.operationId === intent.operationId);
      return outcome ? [{ intent, outcome }] : [];
    });
  const seen = new Set<string | null>();
  const unrecorded = writes.filter((write) => {
    const step = steps.find(({ intent, outcome }) => isOf(write, intent, outcome));
    if (step) seen.add(step.intent.operationId);
    return step === undefined;
  });
  const unseen = steps.filter(({ intent, outcome }) => outcome.facts.became === 'applied' && !seen.has(intent.operationId));
  return { unrecorded: unrecorded.map(nameOf), unseen: unseen.map(({ intent }) => String(intent.operationId)) };
};
