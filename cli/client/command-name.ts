import type { Config } from '../config.ts';

/** How the user calls this program: in a clone it is not on the path, and npm runs it. */
export const commandName = ({ environment }: Pick<Config, 'environment'>): string =>
  environment.npm_command === undefined ? 'quarterdeck' : 'npm run -s qd --';
