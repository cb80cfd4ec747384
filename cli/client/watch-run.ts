import { setTimeout as sleep } from 'node:timers/promises';
import type { RunProgress } from '../../schema/run.ts';
import { hasEnded } from '../output/run-text.ts';
import type { RunView } from '../output/run-view.ts';
import type { ApiClient } from './api-client.ts';
import { patiently } from './patience.ts';

const pollMs = 400;

/**
 * Looks at a run until it has ended. A platform that is away is waited for, up to a minute: it starts its parts again by itself.
 * @param signal - ends the watching, not the run
 * @returns the last state that was seen; undefined when the signal came before the first
 */
export const watchRun = async (
  api: Pick<ApiClient, 'get'>,
  path: string,
  { view, signal }: { view: RunView; signal?: AbortSignal },
): Promise<RunProgress | undefined> => {
  let run: RunProgress | undefined;
  const onAway = () => view.note('The platform does not answer at the moment; the run goes on as soon as it is back. Waiting up to 60 s.');
  try {
    while (!signal?.aborted) {
      run = await patiently(() => api.get<RunProgress>(path), { onAway, signal });
      view.show(run);
      if (hasEnded(run)) break;
      await sleep(pollMs, undefined, { signal }).catch(() => undefined);
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
  } finally {
    view.close();
  }
  return run;
};
