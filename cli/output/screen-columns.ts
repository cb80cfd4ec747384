import { Option } from 'commander';

/** `--wide`: a table as a pipe gets it, whatever the screen is. */
export const wideOption = (): Option => new Option('--wide', 'all of it in one line each, however wide the terminal is');

/** The width of the terminal that data goes to; undefined for a pipe, and where all is asked for. */
export const screenColumns = ({ wide = false }: { wide?: boolean | undefined }): number | undefined =>
  wide || !process.stdout.isTTY ? undefined : process.stdout.columns || 80;
