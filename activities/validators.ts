import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { TranscriptHead } from '../agents/conversation.ts';
import type { Validators } from '../agents/interpret-reply.ts';
import type { JsonObject } from '../agents/json.ts';

const mostProblems = 3;

/** A schema that cannot be compiled judges nothing: servers write what they like, and the server checks its arguments itself. */
const compile = (schema: JsonObject): ValidateFunction | undefined => {
  const { $schema: _dialect, $id: _id, ...plain } = schema;
  try {
    return new Ajv2020({ strict: false, allErrors: false, validateFormats: false, validateSchema: false }).compile(plain);
  } catch {
    return undefined;
  }
};

const problemsOf = (validate: ValidateFunction | undefined, value: unknown): string[] => {
  if (!validate || validate(value)) return [];
  return (validate.errors ?? [])
    .slice(0, mostProblems)
    .map(({ instancePath, message }) => `${instancePath || 'it'} ${message ?? 'is wrong'}`);
};

/** Judges answers by the role's output schema and arguments by the tool's, with JSON Schema 2020-12. */
export const validatorsFor = ({ output, tools }: TranscriptHead): Validators => ({
  answer: (value) => problemsOf(compile(output), value),
  arguments: (name, value) => {
    const tool = tools.find((known) => known.name === name);
    return tool ? problemsOf(compile(tool.inputSchema), value) : [];
  },
});
