import type { AuditBreach } from '../schema/audit-verification.ts';
import {
  type Checkpoint,
  noStatement,
  readCheckpoint,
  type SignedCheckpoint,
  type StoredCheckpoint,
  saysWhatItSigned,
  statementDigest,
} from './audit-checkpoint.ts';
import type { AuditVerifier } from './audit-key.ts';

type Kept = { checkpoint: Checkpoint; statement: string };

const breach = (kind: AuditBreach['kind'], { writer, epoch, link }: Partial<Checkpoint>, message: string): AuditBreach => ({
  kind,
  writer: writer ?? null,
  epoch: epoch ?? null,
  link: link ?? null,
  sequence: null,
  message,
});

/** Those of one place that are signed by us, by their number; any other is reported. */
const signedOf = (
  place: string,
  kept: readonly SignedCheckpoint[],
  verifier: AuditVerifier,
  report: (breach: AuditBreach) => void,
): Map<number, Kept> => {
  const signed = new Map<number, Kept>();
  for (const { statement, signature } of kept) {
    const checkpoint = readCheckpoint(statement);
    if (checkpoint && verifier.verifies(statement, signature)) signed.set(checkpoint.number, { checkpoint, statement });
    else {
      const which = checkpoint ? `checkpoint ${checkpoint.number}` : 'a checkpoint';
      report(breach('checkpoint-forged', checkpoint ?? {}, `${which} in the ${place} is not signed with this installation's key`));
    }
  }
  return signed;
};

/**
 * Compares the checkpoints in the database with those outside of it, and each with the one before.
 * @param outside - undefined where there is no second place
 * @returns all that are signed by us, wherever they are kept
 */
export const verifyCheckpoints = (
  inside: readonly (StoredCheckpoint | SignedCheckpoint)[],
  outside: readonly SignedCheckpoint[] | undefined,
  verifier: AuditVerifier,
  report: (breach: AuditBreach) => void,
): Checkpoint[] => {
  const here = signedOf('database', inside, verifier, report);
  const there = outside && signedOf('file', outside, verifier, report);
  for (const stored of inside)
    if ('atMs' in stored && verifier.verifies(stored.statement, stored.signature) && !saysWhatItSigned(stored)) {
      const signed = readCheckpoint(stored.statement);
      report(breach('checkpoint-forged', signed ?? {}, `checkpoint ${signed?.number} stands in the database as another one than it says`));
    }
  const all = new Map([...(there ?? []), ...here]);
  const numbers = [...all.keys()].sort((a, b) => a - b);
  const lastThere = there ? Math.max(0, ...there.keys()) : 0;
  let last: Kept | undefined;
  for (const number of numbers) {
    const kept = all.get(number) as Kept;
    const other = there?.get(number);
    if (!here.has(number))
      report(breach('checkpoint-missing', kept.checkpoint, `checkpoint ${number} is in the file and not in the database`));
    // a crash may leave the file behind, so the last ones may be missing there until the next is taken
    else if (there && !other && number < lastThere)
      report(breach('checkpoint-missing', kept.checkpoint, `checkpoint ${number} is in the database and not in the file`));
    else if (other && other.statement !== kept.statement)
      report(breach('checkpoint-forged', kept.checkpoint, `checkpoint ${number} says one thing in the database and another in the file`));
    const expected = (last?.checkpoint.number ?? 0) + 1;
    if (number > expected)
      report(breach('checkpoint-missing', kept.checkpoint, `checkpoints ${expected} to ${number - 1} are in neither place`));
    else if (kept.checkpoint.previous !== (last ? statementDigest(last.statement) : noStatement))
      report(breach('checkpoint-forged', kept.checkpoint, `checkpoint ${number} does not follow from the one before`));
    last = kept;
  }
  // of two that contradict each other both are held against the chain
  const contradicting = [...(there ?? [])].filter(([number, { statement }]) => (all.get(number) as Kept).statement !== statement);
  return [...all.values(), ...contradicting.map(([, kept]) => kept)].map(({ checkpoint }) => checkpoint);
};
