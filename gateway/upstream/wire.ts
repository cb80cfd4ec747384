import type { HttpSender } from './http-sender.ts';

/** Where a server is reached, and how: one address, its connections, and what goes along with every request. */
export type Wire = {
  /** As people know the server, with its address. */
  readonly name: string;
  readonly url: URL;
  readonly sender: HttpSender;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  /** Only our own host is believed when it speaks of the processes behind it. */
  readonly isOurHost: boolean;
};

export const pathOf = (url: URL): string => `${url.pathname}${url.search}`;

export const acceptBoth = ['content-type', 'application/json', 'accept', 'application/json, text/event-stream'] as const;
export const acceptEvents = ['accept', 'text/event-stream'] as const;
