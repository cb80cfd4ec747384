import type { PlatformPatience } from '../../activities/targets/platform-context.ts';
import type { GatewayConfig } from '../../gateway/gateway-config.ts';
import type { Config } from '../config.ts';
import type { WorkerPool } from '../processes/process-configs.ts';
import type { PartReport } from './part.ts';
import type { ReadyFile } from './ready-file.ts';
import type { Profile } from './seed.ts';

/** What a benchmark may have otherwise than an installation of users. */
export type PlatformTuning = {
  gateway?: Partial<Pick<GatewayConfig, 'serverLookMs' | 'declaredPollMs' | 'jwksUri'>>;
  patience?: Partial<PlatformPatience>;
  /** Kinds of work that a worker process of their own does. */
  workersApart?: readonly WorkerPool[];
};

export type PlatformOptions = {
  dataDirectory: string;
  /** Base of the ten ports that are used on 127.0.0.1. */
  port: number;
  profile: Profile;
  /** Whether MCP servers may run as bare processes where no cage can be had; never in the profile `production`. */
  allowUncaged: boolean;
  /** Whether clients that nobody knows may register themselves (RFC 7591); not unless it is asked for. */
  allowClientRegistration?: boolean | undefined;
  /** Folder with resources that are applied at the start and whenever a file in it changes. */
  resourcesDirectory?: string | undefined;
  /** A further place for the ready file. */
  readyFile?: string | undefined;
  config: Config;
  tuning?: PlatformTuning;
  /** Gets one line at a time about what happens, for people. */
  onLine(text: string): void;
  /** Ends a start that is under way; what was started by then is stopped. */
  signal?: AbortSignal | undefined;
};

/** A platform that serves. */
export type Platform = {
  ready: ReadyFile;
  report(): PartReport[];
  /** Stops everything in its order; ends within ten seconds, and after it nothing of the platform runs. */
  stop(): Promise<void>;
  /** Ends everything at once, in no order. */
  kill(): void;
};
