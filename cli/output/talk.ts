import { styleText } from 'node:util';
import { redactor } from '../../telemetry/redactor.ts';

/** Data goes to stdout, so it can be piped. */
export const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Talk goes to stderr, where it is often kept: secrets in it are replaced. What a command was asked for goes to stdout as it is. */
export const say = (text: string): void => {
  process.stderr.write(`${redactor.text(text)}\n`);
};

export type Style = Parameters<typeof styleText>[0];

let isColourForbidden = false;

/** What `--no-color` asks for, for all that follows. */
export const forbidColours = (): void => {
  isColourForbidden = true;
};

/** Styles text on a terminal; leaves it plain in a pipe, and where NO_COLOR or `--no-color` asks for that. */
export const styler =
  (colours: boolean, stream: NodeJS.WriteStream = process.stderr) =>
  (style: Style, text: string): string =>
    colours && stream.isTTY && !isColourForbidden ? styleText(style, text, { validateStream: false }) : text;
