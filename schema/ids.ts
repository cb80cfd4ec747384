import { z } from 'zod';

/** A name that people give: lower-case letters, digits and hyphens, at most 63 characters (RFC 1123 label). */
export const NameSchema = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'a name of lower-case letters, digits and hyphens, at most 63 characters, such as `source-reader`',
  );

/** An MCP tool name as servers may give it (2025-11-25, tools: 1 to 128 of these characters). */
export const ToolNameSchema = z.string().regex(/^[A-Za-z0-9_.\-/]{1,128}$/, 'a tool name of letters, digits, `_`, `-`, `.` and `/`');

/** Where a thing lives: every key, id, URL and policy entity begins with these two. */
export const TenancySchema = z.object({ org: NameSchema, project: NameSchema });
export type Tenancy = z.infer<typeof TenancySchema>;

export const defaultTenancy: Tenancy = { org: 'default', project: 'default' };

export const RunIdSchema = z.string().regex(/^run_[0-9a-z]{16}$/, 'a run id such as `run_` and 16 characters');

/** Encodes 10 random bytes as 16 characters. Randomness comes in, so workflows can use it too. */
const encoded = (random: Uint8Array): string => {
  const alphabet = '0123456789abcdefghijkmnpqrstuvwxyz';
  let value = 0n;
  for (const byte of random.subarray(0, 10)) value = (value << 8n) | BigInt(byte);
  let text = '';
  for (let index = 0; index < 16; index += 1) {
    text = alphabet[Number(value % 34n)] + text;
    value /= 34n;
  }
  return text;
};

/** @param random - 10 random bytes */
export const runIdFrom = (random: Uint8Array): string => `run_${encoded(random)}`;
/** @param random - 10 random bytes */
export const approvalIdFrom = (random: Uint8Array): string => `apr_${encoded(random)}`;

/** `org/project/name`: the id of a resource in policies, URLs and the audit. */
export const qualifiedName = ({ org, project }: Tenancy, name: string): string => `${org}/${project}/${name}`;

export type AgentAddress = Tenancy & { fleet: string; runId: string; stage: string; role: string; ordinal: number };

/** The id of one agent, which is its Temporal workflow id too: a retried start finds the same agent. */
export const agentIdOf = ({ org, project, fleet, runId, stage, role, ordinal }: AgentAddress): string =>
  [org, project, fleet, runId, stage, role, String(ordinal)].join('/');

/** The workflow id of a fleet's run. */
export const fleetWorkflowId = ({ org, project, fleet, runId }: Tenancy & { fleet: string; runId: string }): string =>
  `${org}/${project}/${fleet}/${runId}`;

/** The workflow id of one shard: at most 100 agents of a stage. */
export const shardWorkflowId = (fleetId: string, stage: string, shard: number): string => `${fleetId}/${stage}/shard-${shard}`;

/** The workflow id of what keeps one target. */
export const reconcileWorkflowId = ({ org, project, target }: Tenancy & { target: string }): string =>
  `reconcile/${org}/${project}/${target}`;

/** The fleet that the agents of all diagnoses belong to; none that people declare has this name. */
export const reconcileFleet = 'reconcile';
/** The fleet as which targets of type `mcp` are changed; apart from the other, whose agents can only read. */
export const actingFleet = 'reconcile-act';

/** The run of a fix's diagnosis: one fix has one, so a retried start finds it. */
export const diagnosisRunId = (fixId: string): string => `run_${fixId.slice('fix_'.length)}`;

/** @param random - 10 random bytes */
export const fixIdFrom = (random: Uint8Array): string => `fix_${encoded(random)}`;
/** @param random - 10 random bytes */
export const holdIdFrom = (random: Uint8Array): string => `hold_${encoded(random)}`;

/** Reads an agent id back; undefined where it is none. */
export const parseAgentId = (agentId: string): AgentAddress | undefined => {
  const [org, project, fleet, runId, stage, role, ordinal, ...rest] = agentId.split('/');
  if (!org || !project || !fleet || !runId || !stage || !role || !ordinal || rest.length > 0 || !/^\d{1,6}$/.test(ordinal))
    return undefined;
  return { org, project, fleet, runId, stage, role, ordinal: Number(ordinal) };
};
