import type { Database } from '../../../store/database.ts';
import type { CaseEnd, WrongFix } from '../cases/drift-case.ts';
import type { PlatformClient } from '../platform-client.ts';
import type { ToolServer } from './tool-server.ts';

/** Where a case of the platform is played: a project of its own, with one MCP server of somebody else's. */
export type PlatformLane = {
  project: string;
  owner: PlatformClient;
  server: ToolServer;
  /** Past the api, as only who holds the database can. */
  database: Database;
  later: (undo: () => unknown) => void;
};

/** One fault of the platform itself (G, A); nothing but `inject` knows what is wrong. */
export type PlatformCase = {
  id: string;
  fault: string;
  rule: 'Y' | 'P' | 'N';
  watch: readonly string[];
  /** Resources of the project beside its server `tools` and the toolset `tools`. */
  declare?: (lane: PlatformLane) => { metadata: object; [member: string]: unknown }[];
  inject: (lane: PlatformLane) => Promise<void>;
  /** Whether all is well, as the public api says; before the fault, and afterwards where it is to be mended. */
  isWell: (lane: PlatformLane) => Promise<boolean>;
  right: { ends: readonly CaseEnd[]; changes?: RegExp; operations?: () => object[] };
  wrong: (lane: PlatformLane) => WrongFix;
};

export const refIn = (kind: string, name: string, namespace = '') => ({ apiVersion: 'quarterdeck.dev/v1alpha1', kind, namespace, name });

type Pin = { kind: string; name: string; state: string };
export const pinsOf = async ({ owner }: PlatformLane, server = 'tools'): Promise<Pin[]> => {
  const answer = await owner.get(`/servers/${server}/pins`);
  return answer.pins ?? answer.definitions ?? answer;
};
export const isReady = async ({ owner }: PlatformLane, toolset: string): Promise<boolean> => {
  const { status } = await owner.get(`/resources/Toolset/${toolset}`);
  return status.conditions.some((one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'True');
};
