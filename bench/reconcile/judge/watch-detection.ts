/** Of a drift or a conflict as the status of a target shows it, what names a fault. */
type ShownDrift = {
  kind: string;
  object: { kind: string; name: string };
  symptoms: readonly { code: string }[];
  fields?: readonly { path: string }[];
};
type ShownConflict = { object: { kind: string; name: string }; path: string; why: string };
export type ShownTarget = { drifts: readonly ShownDrift[]; conflicts: readonly ShownConflict[] };

export type Detection = {
  /** Each row that was shown, in words: `missing Deployment/web`, `unhealthy Deployment/web ImagePullBackOff`, `held Deployment/web /spec`. */
  rows: readonly string[];
  /** After so many milliseconds a row named this very fault; undefined where none did. */
  afterMs: number | undefined;
};

const rowsOf = ({ drifts, conflicts }: ShownTarget): string[] => [
  ...drifts.map(({ kind, object, symptoms, fields = [] }) =>
    [kind, `${object.kind}/${object.name}`, ...symptoms.map(({ code }) => code), ...fields.map(({ path }) => path)].join(' '),
  ),
  ...conflicts.map(({ object, path, why }) => `${why} ${object.kind}/${object.name} ${path}`.trim()),
];

/**
 * Watches what a target says of itself from now on, as anybody with a token can.
 * @param look - the status of the target
 * @param names - the row that names the fault; `nothing` where none may be there
 * @returns `begin`, from when on milliseconds are counted, and `end`, which says what was seen
 */
export const watchDetection = (look: () => Promise<ShownTarget>, names: RegExp | 'nothing') => {
  const stopped = new AbortController();
  const rows = new Set<string>();
  let beganAt = performance.now();
  let seenAt: number | undefined;
  const watching = (async () => {
    while (!stopped.signal.aborted) {
      const shown = await look().catch((): ShownTarget => ({ drifts: [], conflicts: [] }));
      for (const row of rowsOf(shown)) {
        rows.add(row);
        if (names !== 'nothing' && names.test(row)) seenAt ??= performance.now();
      }
      await new Promise((resolve) => setTimeout(resolve, seenAt === undefined ? 100 : 500));
    }
  })();
  return {
    /** @param inMs - so much later */
    begin: (inMs = 0): void => {
      beganAt = performance.now() + inMs;
    },
    end: async (): Promise<Detection> => {
      stopped.abort();
      await watching;
      if (names === 'nothing')
        return { rows: [...rows], afterMs: [...rows].some((row) => !/^(owned|held|autoscaled) /.test(row)) ? undefined : 0 };
      return { rows: [...rows], afterMs: seenAt === undefined ? undefined : Math.max(0, Math.round(seenAt - beganAt)) };
    },
  };
};
