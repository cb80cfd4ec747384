import { createHash } from 'node:crypto';
import { hintsOf } from '../../schema/definition-hints.ts';
import type { ObservedDefinition } from '../../store/definition.ts';
import type { DefinitionKind } from '../../store/definitions.ts';
import { canonicalJson } from '../../store/resources.ts';
import { isObject } from '../mcp/message.ts';
import { findHiddenText } from './find-hidden-text.ts';
import { findInstructions } from './find-instructions.ts';
import { findSlowPatterns } from './find-slow-patterns.ts';
import { textsOf } from './texts-of.ts';

/** What the database can hold as a name, and its index too. */
const longestNameBytes = 1024;

const nameFields: Readonly<Record<DefinitionKind, string>> = { tool: 'name', prompt: 'name', template: 'uriTemplate' };

/**
 * A tool, prompt or template as a server gave it, with its hints, what is wrong with its text, and the hash over every field, known or not.
 * @returns undefined for what has no name that could be stored: nobody could call it
 */
export const observeDefinition = (kind: DefinitionKind, definition: unknown): ObservedDefinition | undefined => {
  if (!isObject(definition)) return undefined;
  const name = definition[nameFields[kind]];
  if (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > longestNameBytes) return undefined;
  if (name.includes('\0') || !name.isWellFormed()) return undefined;
  const texts = textsOf(definition);
  return {
    name,
    definition,
    hash: createHash('sha256').update(canonicalJson(definition)).digest('hex'),
    ...hintsOf(kind, definition),
    issues: [...findHiddenText(texts), ...findSlowPatterns(definition)],
    warnings: findInstructions(texts),
  };
};
