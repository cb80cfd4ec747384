/**
 * The W3C trace id of everything that is done for one run: its launch, and each call of its agents up to the backend. It is the run's id
 * in other letters, so that either is found from the other.
 * @returns 32 hexadecimal digits
 * @see https://www.w3.org/TR/trace-context/#trace-id
 */
export const traceIdOfRun = (runId: string): string =>
  Array.from(runId.slice(-16), (letter) => letter.charCodeAt(0).toString(16).padStart(2, '0'))
    .join('')
    .padStart(32, '0');
