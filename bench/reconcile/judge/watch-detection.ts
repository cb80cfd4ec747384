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
  /**
   * The look that found it, counted from the moment on from which it could be known. A look asks the processes that have to find the fault, so
   * on a machine that is busy it takes as much longer as they do.
   */
  afterLooks: number | undefined;
};

/** From one look to the next, at least. */
export const betweenLooksMs = 100;

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
  let looks = 0;
  let seenAfterLooks: number | undefined;
  const watching = (async () => {
    while (!stopped.signal.aborted) {
      if (performance.now() >= beganAt) looks += 1;
      const shown = await look().catch((): ShownTarget => ({ drifts: [], conflicts: [] }));
      for (const row of rowsOf(shown)) {
        rows.add(row);
        if (names === 'nothing' || !names.test(row)) continue;
        seenAt ??= performance.now();
        seenAfterLooks ??= looks;
      }
      await new Promise((resolve) => setTimeout(resolve, seenAt === undefined ? betweenLooksMs : 500));
    }
  })();
  return {
    /** @param inMs - so much later */
    begin: (inMs = 0): void => {
      beganAt = performance.now() + inMs;
      looks = 0;
      // what was seen before it could be is seen at once
      seenAfterLooks &&= 0;
    },
    end: async (): Promise<Detection> => {
      stopped.abort();
      await watching;
      if (names === 'nothing')
        return [...rows].some((row) => !/^(owned|held|autoscaled) /.test(row))
          ? { rows: [...rows], afterMs: undefined, afterLooks: undefined }
          : { rows: [...rows], afterMs: 0, afterLooks: 0 };
      return {
        ...{ rows: [...rows], afterLooks: seenAfterLooks },
        afterMs: seenAt === undefined ? undefined : Math.max(0, Math.round(seenAt - beganAt)),
      };
    },
  };
};
