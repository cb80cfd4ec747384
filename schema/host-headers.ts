/**
 * What the host says beside an answer of an MCP server, in headers that it alone sets: nothing that a server writes can become one of them.
 * `quarterdeck-lost` stands on an answer that is not the server's own, because there is none.
 */
export const lostHeader = 'quarterdeck-lost';

/**
 * Why there is no answer of the server: it may have seen the request (`sent`) or cannot have (`not-sent`), it is not the process that the
 * caller asked for (`other-instance`, not sent either), or it did answer, with more than may be handed on (`result-too-large`).
 */
export type Loss = 'sent' | 'not-sent' | 'other-instance' | 'result-too-large';

/**
 * In an answer: which process gave it, and how often that process has said that its tools changed. In a request: only this one is meant.
 * The value means nothing but itself.
 */
export const instanceHeader = 'quarterdeck-instance';
