/** Two ways to speak MCP: `modern` has no sessions and says everything in each request; `legacy` begins with `initialize`. */
export type Era = 'modern' | 'legacy';

export const modernVersions = ['2026-07-28'] as const;
/** Newest first: the first is offered to whoever asks for one that is not known. */
export const legacyVersions = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;
export const knownVersions: readonly string[] = [...modernVersions, ...legacyVersions];
export const newestModern = modernVersions[0];
export const newestLegacy = legacyVersions[0];

export const isModernVersion = (version: unknown): boolean => (modernVersions as readonly unknown[]).includes(version);
export const isLegacyVersion = (version: unknown): boolean => (legacyVersions as readonly unknown[]).includes(version);

/** Names in `_meta` that the protocol keeps for itself. @see https://modelcontextprotocol.io/specification/2026-07-28/basic#meta */
export const metaKeys = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
  logLevel: 'io.modelcontextprotocol/logLevel',
} as const;

/** Identifier of the tasks extension. @see https://modelcontextprotocol.io/extensions/tasks/overview */
export const tasksExtension = 'io.modelcontextprotocol/tasks';

/** Levels of log messages, the least urgent first (RFC 5424). */
export const logLevels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const;
export type LogLevel = (typeof logLevels)[number];
