import { createHash } from 'node:crypto';
import type { RequestId } from '../mcp/message.ts';

/** A request id as a key: `1` and `"1"` are two ids. */
export const requestKey = (id: RequestId): string => `${typeof id === 'number' ? 'n' : 's'}${id}`;

/** The same, however long the id is, for a message to other replicas. */
export const requestDigest = (key: string): string => createHash('sha256').update(key).digest('base64url');
