import { randomBytes } from 'node:crypto';

const form = /^([A-Za-z0-9_-]{22}):(\d{1,15})$/;

/** An unguessable name for a stream. */
export const newStreamId = (): string => randomBytes(16).toString('base64url');

/** What a client sends as `Last-Event-ID`: which stream, and the last event of it. Zero is the place before the first. */
export const eventId = (stream: string, sequence: number): string => `${stream}:${sequence}`;

export const parseEventId = (text: string): { stream: string; sequence: number } | undefined => {
  const [, stream, sequence] = form.exec(text) ?? [];
  return stream === undefined || sequence === undefined ? undefined : { stream, sequence: Number(sequence) };
};
