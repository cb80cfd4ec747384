import { z } from 'zod';
import type { TargetType } from '../resources/reconcile-target.ts';
import { KubernetesOperationSchema, McpOperationSchema, PlatformOperationSchema, TargetOperationSchema } from './operation.ts';
import { ProposalSchema } from './plan.ts';

const operationsOf = {
  kubernetes: KubernetesOperationSchema,
  platform: PlatformOperationSchema,
  mcp: McpOperationSchema,
} as const satisfies Record<TargetType, z.ZodType>;

/** JSON Schema (2020-12) of what a model may answer about a target of a kind: operations of other kinds are not in it. */
export const proposalJsonSchema = (type: TargetType): Record<string, unknown> => {
  const operations = z
    .array(z.union([operationsOf[type], TargetOperationSchema]))
    .min(1)
    .max(8);
  const { $schema: _dialect, ...schema } = z.toJSONSchema(ProposalSchema.extend({ operations }), { io: 'input' });
  return schema;
};
