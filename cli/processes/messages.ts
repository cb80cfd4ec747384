import type { Config } from '../config.ts';

/** First and only message to a process: keys come this way, so that neither arguments nor the environment hold any. */
export type ConfigMessage = {
  type: 'config';
  config: unknown;
  logLevel: Config['logLevel'];
  /** 32 bytes in base64, the same for all: by it one secret has one fingerprint in all logs. */
  redactionKey: string;
};

/** A process asks the supervisor, who may start programs, for an entry of the keychain; the answer has the same id. */
export type KeychainQuestion = { type: 'keychain'; id: number; account: string };
export type KeychainAnswer = { type: 'keychain'; id: number } & ({ value: string } | { failure: string });

/** What a process answers: that it serves, or one line that says why it cannot. */
export type ProcessMessage = { type: 'ready' } | { type: 'failed'; detail: string };

/** What a process of ours is made of once it runs. */
export type RunningProcess = { close(): Promise<void> };
