import { Option } from 'commander';

export type Format = 'table' | 'json' | 'jsonl' | 'yaml' | 'name' | 'ocsf' | 'chain';

/** `-o`: how data is printed; with `json` errors are JSON too, on stderr. */
export const formatOption = (choices: Format[]): Option =>
  new Option('-o, --format <format>', 'how to print it').choices(choices).default(choices[0]);

/** Whether a command line asks for JSON, known before it is parsed: its own errors are rendered so too. */
export const wantsJson = (args: string[]): boolean =>
  args.some(
    (arg, index) => /^(-o=?|--format=)jsonl?$/.test(arg) || (/^(-o|--format)$/.test(arg) && /^jsonl?$/.test(args[index + 1] ?? '')),
  );
