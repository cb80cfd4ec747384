import { spawn } from 'node:child_process';

const openers: Readonly<Partial<Record<NodeJS.Platform, string>>> = { darwin: 'open', linux: 'xdg-open' };

/** Opens an address in the person's browser, where there is one. The address was printed already, so a failure is no matter. */
export const openBrowser = (address: string): void => {
  const opener = openers[process.platform];
  if (opener === undefined) return;
  spawn(opener, [address], { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref();
};
