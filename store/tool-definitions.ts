import type { Tenancy } from '../schema/ids.ts';
import type { Database } from './database.ts';
import type { Definition, ObservedDefinition } from './definition.ts';
import { deleteDefinitions, listDefinitions, recordDefinitions } from './definitions.ts';

/** Goes with the last caller of it; see definitions.ts. */
export type ToolDefinition = Definition;
export type ObservedTool = ObservedDefinition;
export const recordToolDefinitions = (database: Database, server: Tenancy & { server: string; generation: number }, tool: ObservedTool[]) =>
  recordDefinitions(database, server, { tool }, { approvesFirstSight: true });
export const listToolDefinitions = listDefinitions;
export const deleteToolDefinitions = deleteDefinitions;
