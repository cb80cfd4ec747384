import type { CompileSchema, Schema } from './compile-schema.ts';
import { type GrammarWriter, literal, repeated } from './gbnf.ts';
import { integerBetween, numberBetween } from './number-grammar.ts';
import { schemaRefused } from './openai-error.ts';

/** Where the schema sets no limit. A tiny model that has lost the thread writes until it is stopped. */
const usualString = 400;
const usualArray = 32;
/** What llama.cpp unrolls without a long wait. A schema may allow more; the answers stay below. */
const longestString = 2_000;
const longestArray = 1_000;

/** A code point of a JSON string. No \u escapes: half of a surrogate pair would pass a grammar and fail a length check. */
const character = String.raw`[^"\\\x00-\x1F\x7F] | "\\" ["\\nt]`;

export const scalarGrammar = (writer: GrammarWriter, type: string, schema: Schema, path: string): string => {
  if (type === 'null') return literal('null');
  if (type === 'boolean') return writer.choice([literal('true'), literal('false')]);
  if (type === 'string') {
    const { least, most } = sizes(schema, path, { least: 'minLength', most: 'maxLength', usual: usualString, longest: longestString });
    return [literal('"'), repeated(writer.rule(character), least, most), literal('"')].filter(Boolean).join(' ');
  }
  const bounds = { least: bound(schema, 'minimum', path), most: bound(schema, 'maximum', path) };
  if (type === 'integer') {
    const [above, below] = [bound(schema, 'exclusiveMinimum', path), bound(schema, 'exclusiveMaximum', path)];
    if (above !== undefined) bounds.least = Math.max(bounds.least ?? -Infinity, Math.floor(above) + 1);
    if (below !== undefined) bounds.most = Math.min(bounds.most ?? Infinity, Math.ceil(below) - 1);
  }
  const grammar = type === 'integer' ? integerBetween(writer, bounds) : numberBetween(writer, bounds);
  if (grammar === undefined) throw schemaRefused(path, 'no whole number lies between its bounds');
  return grammar;
};

export const arrayGrammar = (compile: CompileSchema, schema: Schema, path: string): string => {
  const prefix = schema.prefixItems ?? [];
  if (!Array.isArray(prefix)) throw schemaRefused(path, '"prefixItems" must be a list of schemas');
  if (schema.items === undefined && prefix.length === 0) throw schemaRefused(path, 'an array needs "items" or "prefixItems"');
  const isClosed = schema.items === undefined || schema.items === false;
  const usual = Math.max(usualArray, prefix.length);
  const { least, most } = sizes(schema, path, { least: 'minItems', most: 'maxItems', usual, longest: longestArray });
  const end = isClosed ? Math.min(most, prefix.length) : most;
  if (least > end) throw schemaRefused(path, `"minItems" asks for items that have no schema`);
  const item = isClosed ? '' : compile(schema.items, `${path}/items`);
  /** What may follow once `at` items are written; the first item has no comma before it. */
  const tail = (at: number): string => {
    if (at >= end) return '';
    if (at > 0 && at >= prefix.length) return repeated(`("," ${item})`, Math.max(least - at, 0), end - at);
    const element = at < prefix.length ? compile(prefix[at], `${path}/prefixItems/${at}`) : item;
    const body = [at === 0 ? '' : '","', element, tail(at + 1)].filter(Boolean).join(' ');
    return at < least ? body : `(${body})?`;
  };
  return [literal('['), tail(0), literal(']')].filter(Boolean).join(' ');
};

export const objectGrammar = (writer: GrammarWriter, compile: CompileSchema, schema: Schema, path: string): string => {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, unknown>);
  const required = schema.required ?? [];
  if (!Array.isArray(required)) throw schemaRefused(path, '"required" must be a list of names');
  const undeclared = required.find((name) => !properties.some(([declared]) => declared === name));
  if (undeclared !== undefined)
    throw schemaRefused(path, `"required" names ${JSON.stringify(undeclared)}, which "properties" does not declare`);
  // A closed object is valid under an open schema too, so `true` narrows; a schema for further properties would be lost, so it is refused.
  if (typeof (schema.additionalProperties ?? false) !== 'boolean')
    throw schemaRefused(path, '"additionalProperties" may only be true or false');
  const members = properties.map(([name, value]) => ({
    text: `${literal(`${JSON.stringify(name)}:`)} ${compile(value, `${path}/properties/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)}`,
    isRequired: required.includes(name),
  }));
  // From the last member to the first: what may follow after another member (`next`, with a comma), and as the first of all (`first`).
  let [next, first] = ['', '""'];
  for (const { text, isRequired } of members.toReversed()) {
    const withRest = next === '' ? text : `${text} ${next}`;
    first = isRequired ? withRest : writer.choice([withRest, first]);
    next = writer.rule(isRequired ? `"," ${withRest}` : `"," ${withRest} | ${next === '' ? '""' : next}`);
  }
  return first === '""' ? literal('{}') : `${literal('{')} ${first} ${literal('}')}`;
};

const bound = (schema: Schema, keyword: string, path: string): number | undefined => {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw schemaRefused(path, `"${keyword}" must be a number`);
  return value;
};

type SizeRule = { least: string; most: string; usual: number; longest: number };

const sizes = (schema: Schema, path: string, rule: SizeRule): { least: number; most: number } => {
  const least = Math.ceil(Math.max(bound(schema, rule.least, path) ?? 0, 0));
  const limit = bound(schema, rule.most, path);
  const most = Math.min(limit === undefined ? Math.max(rule.usual, least) : Math.floor(limit), rule.longest);
  if (least > most) throw schemaRefused(path, `"${rule.least}" is more than ${most}, the most that is possible here`);
  return { least, most };
};
