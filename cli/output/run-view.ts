import type { RunProgress } from '../../schema/run.ts';
import { renderRunBlock } from './run-block.ts';
import { changeLines } from './run-lines.ts';
import { styler } from './talk.ts';

export type RunView = { show(run: RunProgress): void; note(text: string): void; close(): void };

/** Draws over what it drew before; the last state stays on the screen. */
const terminalView = (stream: NodeJS.WriteStream, colours: boolean): RunView => {
  const style = styler(colours, stream);
  let height = 0;
  const clear = (): string => (height > 0 ? `\u001b[${height}A\u001b[0J` : '');
  return {
    show: (run) => {
      const lines = renderRunBlock(run, { now: new Date(), columns: stream.columns || 80, rows: stream.rows || 24, style });
      stream.write(`${clear()}${lines.join('\n')}\n`);
      height = lines.length;
    },
    note: (text) => {
      stream.write(`${clear()}${text}\n`);
      height = 0;
    },
    close: () => {
      height = 0;
    },
  };
};

const plainView = (stream: NodeJS.WriteStream): RunView => {
  let last: RunProgress | undefined;
  return {
    show: (run) => {
      for (const line of changeLines(last, run, new Date())) stream.write(`${line}\n`);
      last = run;
    },
    note: (text) => stream.write(`${text}\n`),
    close: () => undefined,
  };
};

const silentView: RunView = { show: () => undefined, note: () => undefined, close: () => undefined };

/** Shows how a run goes on stderr: a block on a terminal, a line for each change in a pipe, nothing when not wanted. */
export const createRunView = ({ isWanted, colours }: { isWanted: boolean; colours: boolean }): RunView =>
  isWanted ? (process.stderr.isTTY ? terminalView(process.stderr, colours) : plainView(process.stderr)) : silentView;
