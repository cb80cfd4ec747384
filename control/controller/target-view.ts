import type { Database } from '../../store/database.ts';
import { listHoldsIn } from '../../store/reconcile-holds.ts';
import { listTargetRows, type TargetRow } from '../../store/reconcile-targets.ts';

export const targetKeyText = ({ org, project, target }: { org: string; project: string; target: string }): string =>
  `${org}/${project}/${target}`;

type Holds = Awaited<ReturnType<typeof listHoldsIn>>;
export type TargetView = { rows: ReadonlyMap<string, TargetRow>; holdsOf: (key: string) => Holds };

/**
 * Rows and holds of all targets, read at once for all that look in the same moment: a thousand looks are two queries.
 * @param maxAgeMs - so old a reading may be
 */
export const createTargetView = ({ database, clock, maxAgeMs = 1000 }: { database: Database; clock: () => Date; maxAgeMs?: number }) => {
  let last: { at: number; view: Promise<TargetView> } | undefined;

  const read = async (): Promise<TargetView> => {
    const [rows, holds] = await Promise.all([listTargetRows(database), listHoldsIn(database, {}, clock())]);
    const byTarget = Map.groupBy(holds, targetKeyText);
    return { rows: new Map(rows.map((row) => [targetKeyText(row), row])), holdsOf: (key) => byTarget.get(key) ?? [] };
  };

  return {
    read: (): Promise<TargetView> => {
      const at = performance.now(); // a clock that is set back would keep an old view for as long
      if (last && at - last.at < maxAgeMs) return last.view;
      const view = read();
      last = { at, view };
      view.catch(() => {
        last = undefined;
      });
      return view;
    },
  };
};
export type TargetViews = ReturnType<typeof createTargetView>;
