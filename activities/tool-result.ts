import { z } from 'zod';

const ContentSchema = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  mimeType: z.string().optional(),
  uri: z.string().optional(),
  resource: z.looseObject({ uri: z.string().optional(), text: z.string().optional() }).optional(),
});

const ToolResultSchema = z.looseObject({
  content: z.array(ContentSchema).default([]),
  structuredContent: z.unknown().optional(),
  isError: z.boolean().default(false),
  resultType: z.string().default('complete'),
});

/** What a tool answered, as an agent reads it; `structured` where the tool gave a structured result beside it. */
export type ToolAnswer = { failed: boolean; text: string; structured?: unknown };

const textOf = (block: z.infer<typeof ContentSchema>): string => {
  if (block.type === 'text') return block.text ?? '';
  if (block.type === 'resource') return block.resource?.text ?? `[resource ${block.resource?.uri ?? ''}]`;
  if (block.type === 'resource_link') return `[resource ${block.uri ?? ''}]`;
  return `[${block.type} ${block.mimeType ?? ''} left out]`;
};

/** Reads a `tools/call` result: texts joined, structured content where there is no other, pictures and sound named only. */
export const readToolResult = (result: unknown): ToolAnswer => {
  const parsed = ToolResultSchema.safeParse(result);
  if (!parsed.success) return { failed: true, text: 'The tool answered something that is no result.' };
  const { content, structuredContent, isError, resultType } = parsed.data;
  if (resultType !== 'complete') return { failed: true, text: 'The tool asks for input from a person; no agent can give it.' };
  const structured = structuredContent === undefined ? {} : { structured: structuredContent };
  if (content.length === 0 && structuredContent !== undefined)
    return { failed: isError, text: JSON.stringify(structuredContent), ...structured };
  return { failed: isError, text: content.map(textOf).join('\n'), ...structured };
};
