import type { Config } from '../config.ts';

/** First and only message to a process: keys come this way, so that neither arguments nor the environment hold any. */
export type ConfigMessage = { type: 'config'; config: unknown; logLevel: Config['logLevel'] };

/** What a process answers: that it serves, or one line that says why it cannot. */
export type ProcessMessage = { type: 'ready' } | { type: 'failed'; detail: string };

/** What a process of ours is made of once it runs. */
export type RunningProcess = { close(): Promise<void> };
