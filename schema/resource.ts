import { z } from 'zod';
import { AccessBindingSpecSchema, PolicySetSpecSchema } from './resources/access.ts';
import { AgentRoleSpecSchema } from './resources/agent-role.ts';
import { ChannelSpecSchema } from './resources/channel.ts';
import { FleetSpecSchema } from './resources/fleet.ts';
import { IdentityProviderSpecSchema, OAuthClientSpecSchema } from './resources/identity-provider.ts';
import { McpServerSpecSchema } from './resources/mcp-server.ts';
import { apiVersion, MetadataSchema, type Status, StatusSchema } from './resources/metadata.ts';
import { ModelSpecSchema, ProviderSpecSchema } from './resources/model.ts';
import { ProjectSpecSchema } from './resources/project.ts';
import { ReconcileRuleSpecSchema } from './resources/reconcile-rule.ts';
import { ReconcileTargetSpecSchema } from './resources/reconcile-target.ts';
import { ToolsetSpecSchema } from './resources/toolset.ts';

const declare = <Kind extends string, Spec extends z.ZodType>(kind: Kind, spec: Spec) =>
  z.strictObject({ apiVersion: z.literal(apiVersion), kind: z.literal(kind), metadata: MetadataSchema, spec });

/** The schema of each kind, by its name. JSON Schema is made from the same source. */
export const resourceSchemas = {
  Project: declare('Project', ProjectSpecSchema),
  McpServer: declare('McpServer', McpServerSpecSchema),
  Toolset: declare('Toolset', ToolsetSpecSchema),
  Provider: declare('Provider', ProviderSpecSchema),
  Model: declare('Model', ModelSpecSchema),
  AgentRole: declare('AgentRole', AgentRoleSpecSchema),
  Fleet: declare('Fleet', FleetSpecSchema),
  AccessBinding: declare('AccessBinding', AccessBindingSpecSchema),
  PolicySet: declare('PolicySet', PolicySetSpecSchema),
  IdentityProvider: declare('IdentityProvider', IdentityProviderSpecSchema),
  OAuthClient: declare('OAuthClient', OAuthClientSpecSchema),
  Channel: declare('Channel', ChannelSpecSchema),
  ReconcileTarget: declare('ReconcileTarget', ReconcileTargetSpecSchema),
  ReconcileRule: declare('ReconcileRule', ReconcileRuleSpecSchema),
} as const;

export type Kind = keyof typeof resourceSchemas;
export const kinds = Object.keys(resourceSchemas) as Kind[];
export const KindSchema = z.enum(kinds as [Kind, ...Kind[]]);

export type ResourceOf<K extends Kind> = z.infer<(typeof resourceSchemas)[K]>;
export type Resource = { [K in Kind]: ResourceOf<K> }[Kind];

/** A resource as it is stored: with its generation and what was observed of it. */
export type StoredResource<K extends Kind = Kind> = {
  [P in K]: ResourceOf<P> & { uid: string; generation: number; status: Status; createdAt: string; updatedAt: string };
}[K];
export { StatusSchema };

/** How each kind may be written on a command line, lower case. */
export const kindAliases: Readonly<Record<string, Kind>> = Object.fromEntries(
  kinds.flatMap((kind) => {
    const lower = kind.toLowerCase();
    const plural = lower.endsWith('y') ? `${lower.slice(0, -1)}ies` : `${lower}s`;
    return [
      [lower, kind],
      [plural, kind],
    ];
  }),
);

/** JSON Schema (2020-12) of one kind, as a user writes it. */
export const jsonSchemaOf = (kind: Kind) => z.toJSONSchema(resourceSchemas[kind], { io: 'input', unrepresentable: 'any' });
