import type { WrongFix } from '../wrong-fixes/listed-fix.ts';
import { wrongFixIn } from '../wrong-fixes/listed-fix.ts';
import { type InstallationPlace, wrongPlatformFixes } from '../wrong-fixes/platform-fixes.ts';
import type { PlatformLane } from './platform-case.ts';

/**
 * What the taxonomy lists as wrong for a fault, said of a lane.
 * @param more - names that are others than usual: the server and the toolset are both called `tools`, the agent is the run's first worker
 */
export const wrongPlatformFix = (fault: string, { project, crew }: PlatformLane, more: Partial<InstallationPlace> = {}): WrongFix => {
  const agent = crew?.agents[0]?.id ?? 'none';
  return wrongFixIn(wrongPlatformFixes, fault, {
    ...{ server: 'tools', toolset: 'tools', bundle: project, brokenBundle: project },
    ...{ run: crew?.id ?? 'none', agent, stranger: agent.replace(/\d+$/, '99'), storming: agent },
    ...more,
  });
};
