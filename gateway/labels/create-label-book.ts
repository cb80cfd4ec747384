import { flowContext } from '../../policy/whole-context.ts';
import { coversLabel, type FlowLabel } from '../../schema/flow-label.ts';
import type { Database } from '../../store/database.ts';
import type { Declared } from '../../store/declared.ts';
import { agentSubject, findLabel, joinLabel, type LabelKey } from '../../store/flow-labels.ts';
import type { Principal } from '../principal.ts';
import { labelUse } from './label-use.ts';

/** So long a label is believed where it decides nothing; so long a release takes to be in force everywhere. */
const believedMs = 2000;
const mostKnown = 20_000;

/** A label with what a decision's context says of it. */
export type Carried = { subject: string; label: FlowLabel; context: ReturnType<typeof flowContext> };
type Entry = Carried & { until: number };

/** Whose label a caller's is: an agent's own, a person's by the client that they let in. */
export const labelKeyOf = (principal: Principal): LabelKey =>
  principal.kind === 'agent'
    ? { org: principal.org, project: principal.project, subject: agentSubject(principal.agentId) }
    : { org: principal.org, project: 'default', subject: principal.grant };

/**
 * What callers carry, as Postgres has it. Where a label decides about a way out it is read anew, so that no replica goes by an older one; elsewhere
 * it is believed for a moment, which can at worst write again what is written already.
 */
export const createLabelBook = ({ database, declared, now }: { database: Database; declared: () => Declared; now: () => number }) => {
  const entries = new Map<string, Entry>();
  const keyText = ({ org, project, subject }: LabelKey): string => `${org}/${project}/${subject}`;

  const keep = (key: LabelKey, askedAt: number, label: FlowLabel): Entry => {
    const entry = { subject: key.subject, label, context: flowContext(label), until: askedAt + believedMs };
    if (entries.size >= mostKnown) entries.clear();
    entries.set(keyText(key), entry);
    return entry;
  };

  const read = async (key: LabelKey): Promise<Carried> => {
    const askedAt = now();
    return keep(key, askedAt, await findLabel(database, key));
  };

  const believed = (key: LabelKey): Entry | undefined => {
    const entry = entries.get(keyText(key));
    return entry && entry.until > now() ? entry : undefined;
  };

  return {
    isUsed: ({ org }: Principal): boolean => labelUse(declared(), org).isUsed,
    /**
     * What a caller carries; undefined where its org has no labels, so that nothing is asked.
     * @param decides - whether the label decides about this very use: it is then read anew
     */
    of: (principal: Principal, decides: boolean): undefined | Carried | Promise<Carried> => {
      const { isUsed, isLookedAt, hasSecrets } = labelUse(declared(), principal.org);
      if (!isUsed) return undefined;
      const key = labelKeyOf(principal);
      const known = believed(key);
      if (!known) return read(key);
      // where nothing is secret, and no policy of a tenant looks, a label cannot refuse anything
      return isLookedAt || (decides && (hasSecrets || known.label.secrecy > 0)) ? read(key) : known;
    },
    /** Joins what a caller is about to be told, before it is. @returns a promise only where something rises, or is not known to be carried */
    join: (principal: Principal, reads: FlowLabel): void | Promise<void> => {
      if (reads.sources.length === 0 || !labelUse(declared(), principal.org).isUsed) return;
      const key = labelKeyOf(principal);
      const known = believed(key);
      if (known && coversLabel(known.label, reads)) return;
      const askedAt = now();
      return joinLabel(database, key, reads).then((label) => void keep(key, askedAt, label));
    },
  };
};
export type LabelBook = ReturnType<typeof createLabelBook>;
