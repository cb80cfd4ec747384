import { type LogLevel, logLevels } from '../../schema/mcp-revisions.ts';
import type { JsonRpcMessage } from '../stdio/json-rpc.ts';
import type { Multiplexer } from '../stdio/multiplexer.ts';
import { hostScope } from '../stdio/pending-requests.ts';
import type { ClientSession } from './client-sessions.ts';

/** The level that serves all sessions: the least urgent that one of them wants. */
const lowestOf = (sessions: readonly ClientSession[]): LogLevel | undefined =>
  logLevels.find((level) => sessions.some(({ logLevel }) => logLevel === level));

/** Keeps the one log level that a process has at what its sessions want together. */
export const createLogLevelOfProcess = (sessions: () => readonly ClientSession[]) => {
  let told: LogLevel | undefined;
  return {
    /** Tells the process when its level is to be another. @param isNew - it was just started, and was told nothing */
    apply: async (server: Multiplexer, isNew = false): Promise<JsonRpcMessage> => {
      const level = lowestOf(sessions());
      if (isNew) told = undefined;
      if (level === undefined || level === told) return { jsonrpc: '2.0', id: null, result: {} };
      told = level;
      return server.call({ jsonrpc: '2.0', id: 'level', method: 'logging/setLevel', params: { level } }, { scope: hostScope });
    },
  };
};
