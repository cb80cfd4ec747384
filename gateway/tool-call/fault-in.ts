import { Ajv, type AnySchemaObject, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { withinTime } from '../../policy/within-time.ts';
import { inPlainNumbers } from '../../schema/exact-json.ts';
import { isObject, textOf } from '../mcp/message.ts';
import { countValues, schemaWeight } from './schema-weight.ts';

/**
 * Compilers that never fetch anything. Patterns and uniqueness are the server's own affair: a pattern can take for ever on a text
 * made for it, and the gateway is shared.
 */
const compilerOf = <Compiler extends Ajv | Ajv2020>(compiler: Compiler): Compiler => {
  for (const keyword of ['pattern', 'uniqueItems']) compiler.removeKeyword(keyword).addKeyword({ keyword });
  return compiler;
};
const quiet = { strict: false, validateFormats: false, validateSchema: false, addUsedSchema: false, meta: false, logger: false } as const;
// a definition that many refer to is compiled once
const options = { ...quiet, inlineRefs: false } as const;
const newest = compilerOf(new Ajv2020(options));
const draft7 = compilerOf(new Ajv(options));

/**
 * A schema that is larger is not compiled: the server checks its input itself. Compiling costs a tenth of a millisecond for each part of a
 * schema, during which the gateway does nothing else; a server could offer one that takes seconds.
 */
const maxSchemaBytes = 256 * 1024;
const maxSchemaParts = 500;
const maxCompiled = 5000;

/** So much is done at once: what is more is watched, and broken off when its time is over. */
const mostUnwatched = 20_000;
const longestCompileMs = 500;
const longestCheckMs = 50;
/** A schema that took so often too long is not tried again; a machine that does other things takes long now and then. */
const mostOverruns = 3;

/** `weight`: how many parts one value may be held against. */
type Compiled = { validate: ValidateFunction; weight: number; overruns: number };
type Check = Compiled | 'unchecked';
const compiled = new Map<string, Check>();

const compilerFor = ({ $schema }: AnySchemaObject): Ajv | Ajv2020 | undefined => {
  if ($schema === undefined || textOf($schema).includes('/draft/2020-12/')) return newest;
  return /draft-0[67]\//.test(textOf($schema)) ? draft7 : undefined;
};

/** How many objects a schema is made of, and for a quarter each its lists and `true`s; no more than one above `most` are counted. */
const countParts = (schema: object, most: number): number => {
  const open: object[] = [schema];
  let count = 0;
  for (let part = open.pop(); part !== undefined && count <= most; part = open.pop()) {
    count += Array.isArray(part) ? 0.25 : 1;
    for (const value of Object.values(part))
      if (typeof value === 'object' && value !== null) open.push(value);
      else if (typeof value === 'boolean') count += 0.25;
  }
  return count;
};

const compileBare = (compiler: Ajv | Ajv2020, bare: AnySchemaObject): Check => {
  try {
    const weight = schemaWeight(bare);
    const made = withinTime(longestCompileMs, () => compiler.compile(bare));
    return made.ok ? { validate: made.value, weight, overruns: 0 } : 'unchecked';
  } finally {
    compiler.removeSchema(bare);
  }
};

const compile = (schema: AnySchemaObject): Check => {
  try {
    const text = JSON.stringify(schema);
    const compiler = compilerFor(schema);
    if (!compiler || text.length > maxSchemaBytes || text.includes('"patternProperties"')) return 'unchecked';
    if (countParts(schema, maxSchemaParts) > maxSchemaParts) return 'unchecked';
    // the dialect was chosen above; the compiler knows no other by name
    const { $schema: _dialect, ...bare } = JSON.parse(text) as AnySchemaObject;
    return compileBare(compiler, bare);
  } catch {
    // a reference that leads elsewhere, lists within lists without end, or a schema that is none
    return 'unchecked';
  }
};

const checkOf = (schema: AnySchemaObject, key: string): Check => {
  const known = compiled.get(key);
  if (known !== undefined) return known;
  if (compiled.size >= maxCompiled) compiled.clear();
  const check = compile(schema);
  compiled.set(key, check);
  return check;
};

/** Whether a value fits; also where that cannot be found out in time, or at all, for the server looks itself. */
const fits = (check: Compiled, value: unknown): boolean => {
  const mostValues = mostUnwatched / check.weight;
  if (countValues(value, mostValues) <= mostValues) return check.validate(value) as boolean;
  try {
    const judged = withinTime(longestCheckMs, () => check.validate(value) as boolean);
    if (judged.ok) return judged.value;
    check.overruns += 1;
  } catch {
    // definitions that lead round in a circle
    check.overruns = mostOverruns;
  }
  return true;
};

/**
 * What is wrong with a value by a JSON Schema (2020-12 where it does not say, or draft 6 and 7).
 * @param hash - names the definition that the schema is of: it is compiled once for each
 * @param what - which of the definition's schemas, and what the value is called in the answer
 * @returns one sentence part that names the field; undefined where nothing is wrong, and where the schema cannot be checked here
 */
export const faultIn = (value: unknown, schema: unknown, hash: string, what: string): string | undefined => {
  if (!isObject(schema)) return undefined;
  const check = checkOf(schema, `${what}/${hash}`);
  // a schema looks at numbers as JavaScript has them, and would take one that is kept as it was written for an object
  if (check === 'unchecked' || check.overruns >= mostOverruns || fits(check, inPlainNumbers(value))) return undefined;
  const [error] = check.validate.errors ?? [];
  const { missingProperty, additionalProperty } = (error?.params ?? {}) as Record<string, unknown>;
  const path = `${what}${(error?.instancePath ?? '').replaceAll('/', '.')}`;
  const named = missingProperty ?? additionalProperty;
  return named === undefined
    ? `\`${path}\` ${error?.message ?? 'is not valid'}`
    : `\`${path}.${String(named).slice(0, 128)}\` ${missingProperty === undefined ? 'is not known' : 'is missing'}`;
};
