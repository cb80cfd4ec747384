/** Whether a tool says of itself that it only reads. */
export type ToolEffect = 'read' | 'act';
export type ResultEncoding = 'json' | 'sse';
export const resultSizes = { '16B': 16, '10KB': 10_240, '1MB': 1_048_576 } as const;
export type ResultSize = keyof typeof resultSizes;

/** The tool of the echo server that does what a cell of the bench measures. */
export const toolName = (effect: ToolEffect, size: ResultSize, encoding: ResultEncoding): string => `${effect}_${size}_${encoding}`;

const inputSchema = {
  type: 'object',
  properties: { message: { type: 'string', maxLength: 200 }, count: { type: 'integer', minimum: 0 } },
  required: ['message'],
};

/** Each tool with what it answers. */
export const echoTools = (['read', 'act'] as const).flatMap((effect) =>
  (Object.keys(resultSizes) as ResultSize[]).flatMap((size) =>
    (['json', 'sse'] as const).map((encoding) => ({
      definition: {
        name: toolName(effect, size, encoding),
        description: `Answers ${size} as ${encoding}`,
        inputSchema,
        annotations: { readOnlyHint: effect === 'read' },
      },
      text: 'x'.repeat(resultSizes[size]),
      encoding,
    })),
  ),
);

/** Definitions of ordinary weight (some 600 bytes), half of which may destroy something; nobody calls them. */
export const manyTools = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    name: `tool_${String(index).padStart(4, '0')}`,
    title: `Tool number ${index}`,
    description:
      `Looks up records of kind ${index} by their key and gives back what is known of each: owner, state, times and labels. `.repeat(2),
    inputSchema: {
      type: 'object',
      properties: {
        key: { type: 'string', description: 'Key of the record' },
        limit: { type: 'integer', description: 'How many at most' },
        label: { type: 'array', items: { type: 'string' } },
      },
      required: ['key'],
    },
    annotations: { readOnlyHint: index % 2 === 0, destructiveHint: index % 2 === 1 },
  }));
