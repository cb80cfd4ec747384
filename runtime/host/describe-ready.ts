import type { ReadyInstance } from '../../schema/server-launch.ts';
import type { ReadyServer } from './server-instance.ts';

/** Facts for the answer to whoever asked for a ready instance. */
export const describeReady = ({ process, greeting }: ReadyServer): ReadyInstance => {
  const known = greeting.era === 'modern' ? greeting.discovered : greeting.initialized;
  return {
    state: 'ready',
    isolation: process.isolation,
    pid: process.pid,
    era: greeting.era,
    ...(known?.serverInfo && { serverInfo: known.serverInfo }),
    ...(known && { protocolVersion: known.protocolVersion }),
  };
};
