#!/usr/bin/env node
import { CommanderError } from 'commander';
import { createProgram } from './commands/create-program.ts';
import { wantsJson } from './output/format-option.ts';
import { renderError, renderErrorJson, toCliError } from './output/render-error.ts';
import { forbidColours, say } from './output/talk.ts';
import { explainMistake } from './output/usage-mistake.ts';

const given = process.argv.slice(2);
const args = given.filter((arg) => arg !== '--no-color');
if (args.length < given.length) forbidColours();

// whoever reads may have enough: `quarterdeck audit query | head`
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  const program = await createProgram(args);
  if (args.length === 0) program.outputHelp();
  else await program.parseAsync(args, { from: 'user' });
} catch (thrown) {
  const error = thrown instanceof CommanderError ? explainMistake(thrown, args) : toCliError(thrown);
  if (error?.message) say(wantsJson(args) ? renderErrorJson(error) : renderError(error));
  process.exitCode = error?.exitCode ?? 0;
}
