import type { Kind } from './resource.ts';

/** Fields that the design names and this release does not have: they are refused by name, never stored. */
export const unbuiltFields: Readonly<Partial<Record<Kind, readonly string[]>>> = {
  Project: ['groups', 'maxRisk'],
  McpServer: ['registry', 'image', 'isolation', 'replicas', 'permissionProfile'],
  Toolset: ['composite', 'overrides'],
  Provider: ['region', 'headers'],
  Model: ['weights', 'fallbacks', 'limits', 'region'],
  AgentRole: ['approvals', 'money', 'costMicroUsd', 'depth', 'memory'],
  Fleet: ['budget', 'schedule', 'gates', 'success'],
  AccessBinding: ['when', 'expiresAt', 'resources', 'prompts'],
  PolicySet: ['shadow'],
};

/** Kinds that the design names and this release does not have. */
export const unbuiltKinds: readonly string[] = ['Budget', 'Registry'];
