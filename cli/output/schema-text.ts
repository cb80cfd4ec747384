type JsonSchema = {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  default?: unknown;
  description?: string;
  additionalProperties?: boolean | JsonSchema;
};

const unionOf = ({ anyOf, oneOf }: JsonSchema): JsonSchema[] => anyOf ?? oneOf ?? [];

const typeOf = (schema: JsonSchema): string => {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const union = unionOf(schema);
  if (union.length > 0) return [...new Set(union.map(typeOf))].join(' | ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`;
  if (schema.type === 'object' && typeof schema.additionalProperties === 'object') return `map of ${typeOf(schema.additionalProperties)}`;
  return Array.isArray(schema.type) ? schema.type.join(' | ') : (schema.type ?? 'anything');
};

const fieldLines = (schema: JsonSchema, indent: string): string[] => {
  const union = unionOf(schema).filter(({ properties }) => properties);
  if (union.length > 0)
    return union.flatMap((each, index) => [`${indent}${index === 0 ? 'one of:' : 'or:'}`, ...fieldLines(each, `${indent}  `)]);
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const needed = schema.required?.includes(name) && field.default === undefined && field.const === undefined ? ', needed' : '';
    const preset = field.default === undefined ? '' : `, default ${JSON.stringify(field.default)}`;
    const what = field.description ? `: ${field.description}` : '';
    const inner = field.type === 'array' ? (field.items ?? {}) : field;
    return [`${indent}${name}  ${typeOf(field)}${needed}${preset}${what}`, ...fieldLines(inner, `${indent}  `)];
  });
};

/** Lists the fields of a JSON Schema for people: name, type, whether it is needed, its default. */
export const schemaText = (schema: unknown): string => fieldLines(schema as JsonSchema, '').join('\n');
