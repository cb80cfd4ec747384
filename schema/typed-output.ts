type Schema = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Schema => typeof value === 'object' && value !== null && !Array.isArray(value);
const isScalar = (value: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof value) || value === null;

/** An array holds as much as a text where it is long enough. */
const longestArray = 100;
const instant = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/;

const choicesOf = ({ enum: choices, const: only }: Schema): unknown[] | undefined =>
  Array.isArray(choices) ? choices : only === undefined ? undefined : [only];

const atKey = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

/**
 * Finds what in a JSON Schema can hold words: all but numbers, booleans, dates and choices of a fixed list, in objects of known keys and short
 * arrays. What has such a schema cannot carry a stranger's order, nor more of a secret than the schema's author saw.
 * @returns where the first such part stands, as a dotted path; undefined where there is none
 */
export const untypedPart = (schema: unknown, path = ''): string | undefined => {
  const here = path === '' ? 'the root' : path;
  if (!isRecord(schema)) return here;
  const choices = choicesOf(schema);
  if (choices) return choices.every(isScalar) ? undefined : here;
  switch (schema.type) {
    case 'integer':
    case 'number':
    case 'boolean':
      return undefined;
    case 'string':
      return schema.format === 'date' || schema.format === 'date-time' ? undefined : here;
    case 'array': {
      const isShort = typeof schema.maxItems === 'number' && schema.maxItems <= longestArray && schema.prefixItems === undefined;
      return isShort ? untypedPart(schema.items, atKey(path, '*')) : here;
    }
    case 'object': {
      if (schema.additionalProperties !== false || schema.patternProperties !== undefined || !isRecord(schema.properties)) return here;
      for (const [key, inner] of Object.entries(schema.properties)) {
        const found = untypedPart(inner, atKey(path, key));
        if (found !== undefined) return found;
      }
      return undefined;
    }
    default:
      return here;
  }
};

/** Whether a value is what such a schema says, formats too: nothing else counts as free of words. */
export const holdsTyped = (schema: unknown, value: unknown): boolean => {
  if (!isRecord(schema) || untypedPart(schema) !== undefined) return false;
  const choices = choicesOf(schema);
  if (choices) return choices.includes(value);
  switch (schema.type) {
    case 'integer':
      return Number.isSafeInteger(value);
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'string':
      return typeof value === 'string' && instant.test(value);
    case 'array':
      return Array.isArray(value) && value.length <= Number(schema.maxItems) && value.every((inner) => holdsTyped(schema.items, inner));
    default: {
      const properties = schema.properties as Schema;
      return (
        isRecord(value) &&
        Object.entries(value).every(([key, inner]) => Object.hasOwn(properties, key) && holdsTyped(properties[key], inner))
      );
    }
  }
};
