import type { DefinitionKind } from './definition.ts';

export type DefinitionHints = { readOnly: boolean; destructive: boolean; idempotent: boolean; openWorld: boolean };

const ofReading: DefinitionHints = { readOnly: true, destructive: false, idempotent: true, openWorld: true };

/**
 * What a definition says of its effects. A hint that is not given is the careful one; getting a prompt or reading a resource has no
 * effect, by the protocol.
 */
export const hintsOf = (kind: DefinitionKind, definition: Record<string, unknown>): DefinitionHints => {
  if (kind !== 'tool') return ofReading;
  const { annotations } = definition;
  const hints = typeof annotations === 'object' && annotations !== null ? (annotations as Record<string, unknown>) : {};
  const claim = (name: string, otherwise: boolean): boolean => (typeof hints[name] === 'boolean' ? hints[name] : otherwise);
  return {
    readOnly: claim('readOnlyHint', false),
    destructive: claim('destructiveHint', true),
    idempotent: claim('idempotentHint', false),
    openWorld: claim('openWorldHint', true),
  };
};
