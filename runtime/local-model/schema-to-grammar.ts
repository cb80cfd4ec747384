import type { CompileSchema, Schema } from './compile-schema.ts';
import { GrammarWriter, literal, oneOfTexts } from './gbnf.ts';
import { schemaRefused } from './openai-error.ts';
import { arrayGrammar, objectGrammar, scalarGrammar } from './type-grammars.ts';

/** Says things about a value to people and constrains nothing, so it is safe to leave aside. */
const annotations = ['$schema', '$id', '$comment', 'title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly'];

/** The keywords a grammar enforces, by JSON type. Whatever else a schema says is refused by name, never ignored. */
const keywordsOf: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  number: ['minimum', 'maximum'],
  boolean: [],
  null: [],
};

/** A deeper schema or a longer grammar is a mistake or an attack: the grammar is walked at every token. */
const deepest = 24;
const longestGrammar = 512_000;

/**
 * Compiles a JSON Schema into a grammar whose texts are compact JSON (no white space, which a tiny model would emit without end), each
 * valid under the schema. The grammar may be narrower than the schema, never wider: strings end after 400 characters and arrays after 32
 * items where the schema sets no limit, properties keep the order in which they are declared, objects get no undeclared properties, and
 * numbers have at most fifteen digits and six decimals. Of `oneOf` any alternative is taken; that only one matches is not enforced.
 * @param schema - JSON Schema, draft 2020-12
 * @returns GBNF text
 * @throws {OpenAiError} 400 `unsupported_schema`, naming the place and the keyword
 * @see https://json-schema.org/draft/2020-12
 */
export const schemaToGrammar = (schema: unknown): string => {
  const writer = new GrammarWriter();
  let depth = 0;
  const compile: CompileSchema = (part, path) => {
    if (depth === deepest) throw schemaRefused(path, `it is nested more than ${deepest} levels deep`);
    depth += 1;
    const expression = schemaGrammar(writer, compile, part, path);
    depth -= 1;
    return expression;
  };
  const grammar = writer.text(compile(schema, ''));
  if (grammar.length > longestGrammar) throw schemaRefused('', `its grammar is larger than ${longestGrammar} characters`);
  return grammar;
};

const schemaGrammar = (writer: GrammarWriter, compile: CompileSchema, part: unknown, path: string): string => {
  if (typeof part !== 'object' || part === null || Array.isArray(part)) throw schemaRefused(path, 'a schema must be an object');
  const schema = part as Schema;
  const keywords = Object.keys(schema).filter((keyword) => !annotations.includes(keyword) && schema[keyword] !== undefined);
  const allow = (allowed: readonly string[]): void => {
    const refused = keywords.find((keyword) => !allowed.includes(keyword));
    if (refused !== undefined) throw schemaRefused(path, `the keyword "${refused}" cannot be enforced here`);
  };
  const types = typesOf(schema, path);
  if ('const' in schema || 'enum' in schema) {
    allow(['type', 'const' in schema ? 'const' : 'enum']);
    return valuesGrammar(writer, 'const' in schema ? [schema.const] : schema.enum, types, path);
  }
  for (const union of ['oneOf', 'anyOf']) {
    if (!(union in schema)) continue;
    allow([union]);
    const parts = schema[union];
    if (!Array.isArray(parts) || parts.length === 0) throw schemaRefused(path, `"${union}" must be a list of schemas`);
    return writer.choice(parts.map((alternative, at) => compile(alternative, `${path}/${union}/${at}`)));
  }
  if (types === undefined) throw schemaRefused(path, 'it needs "type", "const", "enum", "oneOf" or "anyOf"');
  allow(['type', ...types.flatMap((type) => keywordsOf[type] ?? [])]);
  return writer.choice(
    types.map((type) => {
      // As rules of their own, because a part may be mentioned twice on each level and texts would double with every level.
      if (type === 'object') return writer.rule(objectGrammar(writer, compile, schema, path));
      if (type === 'array') return writer.rule(arrayGrammar(compile, schema, path));
      return scalarGrammar(writer, type, schema, path);
    }),
  );
};

const typesOf = (schema: Schema, path: string): string[] | undefined => {
  if (schema.type === undefined) return undefined;
  const types = [schema.type].flat();
  const unknown = types.find((type) => typeof type !== 'string' || !(type in keywordsOf));
  if (unknown !== undefined || types.length === 0) throw schemaRefused(path, `${JSON.stringify(unknown ?? [])} is not a JSON type`);
  return types as string[];
};

/** The values of `enum` or `const` that have one of the types. Objects among them are written with their own order of properties. */
const valuesGrammar = (writer: GrammarWriter, values: unknown, types: string[] | undefined, path: string): string => {
  if (!Array.isArray(values)) throw schemaRefused(path, '"enum" must be a list');
  const fitting = values.filter((value) => types?.some((type) => hasType(value, type)) ?? true);
  if (fitting.length === 0) throw schemaRefused(path, 'no value of "enum" or "const" has the type');
  return fitting.length === 1
    ? literal(JSON.stringify(fitting[0]))
    : oneOfTexts(
        writer,
        fitting.map((value) => JSON.stringify(value)),
      );
};

const hasType = (value: unknown, type: string): boolean => {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'null') return value === null;
  // The names of the remaining types are those of typeof.
  return typeof value === type && value !== null && !Array.isArray(value);
};
