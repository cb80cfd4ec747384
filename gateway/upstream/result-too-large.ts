/** The longest result that is handed to a caller. */
export const maxResultBytes = 16 * 1024 * 1024;
/** The longest answer that is read: a result, with what stands around it and how it may be spelled. */
export const maxAnswerBytes = maxResultBytes + 1024 * 1024;

/** The server did what it was asked, and answers with more than is read of an answer. */
export class ResultTooLarge extends Error {
  constructor() {
    super(`the answer is over ${maxAnswerBytes} bytes, or has more parts than are read`);
    this.name = 'ResultTooLarge';
  }
}
