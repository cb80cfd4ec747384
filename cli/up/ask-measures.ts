import type { ChildProcess } from 'node:child_process';
import type { MeasuredMetric, MeasureMessage, ProcessMessage } from '../processes/messages.ts';

/** A process that is busy for longer is left out of one answer. */
const withinMs = 1_000;

let lastNumber = 0;

/**
 * Asks one of our processes what it measures.
 * @returns nothing where it does not answer in time
 */
export const askMeasures = (child: ChildProcess): Promise<MeasuredMetric[]> =>
  new Promise((resolve) => {
    if (!child.connected) return resolve([]);
    lastNumber += 1;
    const asked: MeasureMessage = { type: 'measure', number: lastNumber };
    const end = (metrics: MeasuredMetric[]): void => {
      clearTimeout(late);
      child.off('message', hear);
      resolve(metrics);
    };
    const hear = (message: ProcessMessage): void => {
      if (message.type === 'measured' && message.number === asked.number) end(message.metrics);
    };
    const late = setTimeout(() => end([]), withinMs);
    child.on('message', hear);
    child.send(asked, (error) => error && end([]));
  });
