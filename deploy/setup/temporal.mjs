import { cachedTemporal, findTemporal, temporalVersion } from '../../cli/setup/find-temporal.mjs';
import { buildOnce } from './build-once.mjs';
import { buildTemporal } from './build-temporal.mjs';
import { downloadTemporal } from './download-temporal.mjs';
import { SetupError } from './talk.mjs';

/**
 * Makes sure that this machine can run Temporal: a server that `TEMPORAL_ADDRESS` names, a program on the path, one in our cache, the
 * release that the SDK would fetch, or a build from its Go module, whichever comes first.
 * `QUARTERDECK_TEMPORAL_DOWNLOADS` names a mirror of the place where the SDK's release lies.
 * @throws {SetupError} with what is missing and what to do
 */
export const ensureTemporal = async () => {
  if (process.env.TEMPORAL_ADDRESS) return;
  await buildOnce('temporal', {
    doing: 'fetching or building Temporal',
    isThere: () => findTemporal() !== undefined,
    build: async (scratch) => {
      const notDownloaded = await downloadTemporal(scratch, cachedTemporal(), process.env.QUARTERDECK_TEMPORAL_DOWNLOADS || undefined);
      if (notDownloaded === undefined) return;
      const notBuilt = await buildTemporal(scratch, cachedTemporal());
      if (notBuilt === undefined) return;
      throw new SetupError(
        `Temporal is missing: no program "temporal" on the path, ${notDownloaded}, and ${notBuilt}. ` +
          `Install Temporal's command line ${temporalVersion} or newer, or Go, or name a running server in TEMPORAL_ADDRESS.`,
      );
    },
  });
};
