import type { DefinitionKind } from '../schema/definition.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { definitions } from '../schema/tables/tables.ts';

/** A tool, prompt or resource template as it was pinned, with the hints that were vetted then. */
export type Definition = Omit<typeof definitions.$inferSelect, 'updatedAt'>;

/** What a server offers, with the hash over every field; `gateway/pins/observe-definition.ts` makes it. */
export type ObservedDefinition = Pick<
  Definition,
  'name' | 'definition' | 'readOnly' | 'destructive' | 'idempotent' | 'openWorld' | 'issues' | 'warnings'
> & { hash: string };

/** By kind; a kind that is absent was not looked at, and what is pinned of it stays as it is. */
export type ObservedDefinitions = Partial<Record<DefinitionKind, readonly ObservedDefinition[]>>;

export type ServerKey = Tenancy & { server: string };
