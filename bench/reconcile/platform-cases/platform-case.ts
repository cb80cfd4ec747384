import type { Client } from '@temporalio/client';
import type { SQL } from 'drizzle-orm';
import type { Database } from '../../../store/database.ts';
import type { CaseEnd } from '../cases/drift-case.ts';
import type { BreakableInstallation, Installation } from '../installation.ts';
import type { AgentScript } from '../models/agent-scripts.ts';
import type { PlatformClient } from '../platform-client.ts';
import type { WrongFix } from '../wrong-fixes/listed-fix.ts';
import type { Crew } from './crew.ts';
import type { ListedTools } from './list-tools.ts';
import type { ToolServer } from './tool-server.ts';

/** Where a case of the platform is played: a project of its own, with one MCP server of somebody else's. */
export type PlatformLane = {
  project: string;
  owner: PlatformClient;
  /** Who may approve, in this project. */
  reviewer: PlatformClient;
  server: ToolServer;
  installation: Installation;
  /** Its processes may be broken; only where the case `breaksProcesses`. */
  breakable: BreakableInstallation | undefined;
  /** Past the api, as only who holds the database can. */
  database: Database;
  temporal: Client;
  /** What an MCP client of the owner is offered at a toolset of the project. */
  listTools: (toolset: string) => Promise<ListedTools>;
  /** Plays the model `agent` of the project, for agents at work. */
  playAgents: (script: AgentScript) => void;
  /** Writes a value where a reference to a secret can lead. @returns the path */
  keep: (name: string, value: string) => string;
  later: (undo: () => unknown) => void;
  /** Lets agents go on that wait for it. */
  mayGoOn?: () => void;
  /** The run of the case, once there is one. */
  crew?: Crew;
};

/** One fault of the platform itself (G, A); nothing but `inject` knows what is wrong. */
export type PlatformCase = {
  id: string;
  fault: string;
  watch: readonly string[];
  /** What it breaks is everybody's: it is played on the installation that is there for it, alone. */
  breaksProcesses?: true;
  /** Resources of the project beside its server `tools` and the toolset `tools`. */
  declare?: (lane: PlatformLane) => { metadata: object; [member: string]: unknown }[];
  /** What goes on there while all is well. */
  begin?: (lane: PlatformLane) => Promise<void>;
  inject: (lane: PlatformLane) => Promise<void>;
  /** The row of the target's status that names this very fault. */
  seenAs: RegExp;
  /** So long after `inject` nobody can know yet: what mends itself is given time, and processes say every ten seconds what they have. */
  tellableAfterMs?: number;
  /** Whether all is well, as the public api, Temporal and an MCP client say; before the fault, and afterwards where it is to be mended. */
  isWell: (lane: PlatformLane) => Promise<boolean>;
  right: {
    ends: readonly CaseEnd[];
    /** What the right fix may change beside going back to what was; as `judge/platform-snapshot.ts` names it. */
    changes?: RegExp;
    /** What changes by itself while somebody tries, whatever comes of it. */
    moves?: RegExp;
    operations?: () => object[];
  };
  /** Asked for when a model is: by then the fault is there. */
  wrong: (lane: PlatformLane) => WrongFix;
};

export const refIn = (kind: string, name: string, namespace = '') => ({ apiVersion: 'quarterdeck.dev/v1alpha1', kind, namespace, name });

/** What somebody does with the database itself; a connection that is lost is no reason to leave it. */
export const pastTheApi = async ({ database }: PlatformLane, statement: SQL): Promise<void> => {
  for (let tries = 1; ; tries += 1)
    try {
      await database.execute(statement);
      return;
    } catch (error) {
      if (tries === 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
};

export const breakableOf = ({ breakable, project }: PlatformLane): BreakableInstallation => {
  if (!breakable) throw new Error(`${project} is not on an installation that may be broken: the case has to say \`breaksProcesses\``);
  return breakable;
};

type Pin = { kind: string; name: string; state: string };
export const pinsOf = async ({ owner }: PlatformLane, server = 'tools'): Promise<Pin[]> => {
  const answer = await owner.get(`/servers/${server}/pins`);
  return answer.pins ?? answer.definitions ?? answer;
};
export const isReady = async ({ owner }: PlatformLane, toolset: string): Promise<boolean> => {
  const { status } = await owner.get(`/resources/Toolset/${toolset}`);
  return status.conditions.some((one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'True');
};
/** Whether an MCP client is offered exactly these tools. */
export const offers = async ({ listTools }: PlatformLane, toolset: string, ...names: string[]): Promise<boolean> => {
  const listed = (await listTools(toolset).catch(() => [])).map(({ name }) => name);
  return listed.toSorted().join() === names.toSorted().join();
};
/** Waits until the target says that something is wrong. */
export const isNoticed = async ({ owner, project }: PlatformLane): Promise<true | undefined> =>
  (await owner.get(`/reconcile/targets/${project}`)).phase === 'clean' ? undefined : true;
