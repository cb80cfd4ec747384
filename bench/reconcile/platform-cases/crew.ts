import type { RunProgress } from '../../../schema/run.ts';

/** A run with the ids of its workflows; `agents` are its workers. */
export type Crew = { id: string; agents: RunProgress['agents']; progress: () => Promise<RunProgress>; fleet: string; shard: string };
