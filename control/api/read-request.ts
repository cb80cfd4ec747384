import type { Context } from 'hono';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import { withHiddenShown } from '../../schema/hidden-characters.ts';
import { type Tenancy, TenancySchema } from '../../schema/ids.ts';
import { type Kind, KindSchema } from '../../schema/resource.ts';
import type { ApiEnvironment } from './api-dependencies.ts';

const maxDepth = 100;
const longestShown = 64;

/** Deep nesting would exhaust the stack of whoever walks the value; it is measured level by level. */
const isTooDeep = (value: unknown): boolean => {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > maxDepth) return true;
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []));
  }
  return false;
};

const sayIssues = (error: z.ZodError): string =>
  error.issues.map(({ path, message }) => (path.length > 0 ? `${path.map(String).join('.')}: ${message}` : message)).join('; ');

/** Parses what came from outside; says each wrong field. @throws {PlatformError} `request_invalid` */
export const parseAs = <Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.infer<Schema> => {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  // what a person typed themselves is shown again: one letter of an id is easily wrong
  const given = typeof value === 'string' ? ` (\`${withHiddenShown(value.slice(0, longestShown))}\`)` : '';
  throw new PlatformError('request_invalid', `The ${what} is not as expected${given}: ${sayIssues(result.error)}.`);
};

/** Reads a JSON body. Another content type is refused: a form of another site could send it without asking. */
export const readBody = async <Schema extends z.ZodType>(context: Context<ApiEnvironment>, schema: Schema): Promise<z.infer<Schema>> => {
  if (!/^application\/json\b/i.test(context.req.header('content-type') ?? ''))
    throw new PlatformError('request_invalid', 'The body has to be JSON, with `content-type: application/json`.');
  const text = await context.req.text();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new PlatformError('request_invalid', 'The body is not JSON.');
  }
  if (isTooDeep(value)) throw new PlatformError('request_invalid', `The body is nested deeper than ${maxDepth} levels.`);
  return parseAs(schema, value, 'body');
};

/** @throws {PlatformError} `request_invalid` when a segment of the path is no name */
export const tenancyOf = (context: Context<ApiEnvironment>): Tenancy =>
  parseAs(TenancySchema, { org: context.req.param('org'), project: context.req.param('project') }, 'path');

export const kindOf = (context: Context<ApiEnvironment>): Kind => parseAs(KindSchema, context.req.param('kind'), 'path');

/** Query parameters, with those refused that the schema does not have: a mistyped filter would show too much. */
export const readQuery = <Shape extends z.ZodRawShape>(context: Context<ApiEnvironment>, schema: z.ZodObject<Shape>) =>
  parseAs(z.strictObject(schema.shape), context.req.query(), 'query');
