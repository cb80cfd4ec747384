import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { writePrivateFile } from './write-private-file.ts';

const ProcessRecordSchema = z.object({
  name: z.string(),
  state: z.enum(['starting', 'running', 'waiting', 'stopping', 'stopped']),
  pid: z.int().optional(),
  /** Tells this process from a later one of the same number. */
  startedAs: z.string().optional(),
  port: z.int().optional(),
  restarts: z.int(),
  startedAt: z.string().optional(),
  stopSignal: z.enum(['SIGTERM', 'SIGINT']),
});
export type ProcessRecord = z.infer<typeof ProcessRecordSchema>;

const SupervisorRecordSchema = z.object({
  pid: z.int(),
  startedAs: z.string(),
  startedAt: z.string(),
  port: z.int(),
  profile: z.enum(['dev', 'solo', 'production']),
  processes: z.array(ProcessRecordSchema),
});
/** Who supervises a data folder and what it has started: for `status`, `down`, and the start after a crash. */
export type SupervisorRecord = z.infer<typeof SupervisorRecordSchema>;

/** @returns undefined when there is none, or a kill left half of one */
export const readSupervisorFile = (path: string): SupervisorRecord | undefined => {
  try {
    return SupervisorRecordSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
};

export const writeSupervisorFile = (path: string, record: SupervisorRecord): void => writePrivateFile(path, `${JSON.stringify(record)}\n`);
