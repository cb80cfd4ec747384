import type { McpServer } from '../upstream/upstream-pool.ts';

/** A person who is asked something in the middle of a call may take five minutes. */
const usualTotalSeconds = 600;

/** How long a server may be silent in the middle of a request, and how long a request may take in all. */
export const callTimeouts = ({ spec }: McpServer): { idleTimeoutMs: number; totalTimeoutMs: number } => {
  const { timeoutSeconds, totalTimeoutSeconds = Math.max(timeoutSeconds, usualTotalSeconds) } = spec;
  return { idleTimeoutMs: timeoutSeconds * 1000, totalTimeoutMs: totalTimeoutSeconds * 1000 };
};
