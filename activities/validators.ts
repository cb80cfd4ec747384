import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { TranscriptHead } from '../agents/conversation.ts';
import type { Validators } from '../agents/interpret-reply.ts';
import type { JsonObject } from '../agents/json.ts';
import { withinTime } from '../policy/within-time.ts';

const mostProblems = 3;
/**
 * A pattern, or definitions that multiply, can take for ever on an answer made for them, and a worker has many agents. An answer is judged here
 * alone; arguments are judged by their server too. Of the processor’s time.
 */
const longestAnswerMs = 300;
const longestArgumentsMs = 100;

/** A schema that cannot be compiled judges nothing: servers write what they like, and the server checks its arguments itself. */
const compile = (schema: JsonObject): ValidateFunction | undefined => {
  const { $schema: _dialect, $id: _id, ...plain } = schema;
  const options = {
    strict: false,
    allErrors: false,
    validateFormats: false,
    validateSchema: false,
    inlineRefs: false,
    logger: false,
  } as const;
  try {
    return new Ajv2020(options).compile(plain);
  } catch {
    return undefined;
  }
};

const problemsOf = (schema: JsonObject, value: unknown): string[] => {
  const validate = compile(schema);
  if (!validate || validate(value)) return [];
  return (validate.errors ?? [])
    .slice(0, mostProblems)
    .map(({ instancePath, message }) => `${instancePath || 'it'} ${message ?? 'is wrong'}`);
};

/** What is wrong; undefined where that was not found out in time. */
const inTime = (limitMs: number, schema: JsonObject, value: unknown): string[] | undefined => {
  const judged = withinTime(limitMs, () => problemsOf(schema, value));
  return judged.ok ? judged.value : undefined;
};

/** Judges answers by the role's output schema and arguments by the tool's, with JSON Schema 2020-12. */
export const validatorsFor = ({ output, tools }: TranscriptHead): Validators => ({
  answer: (value) =>
    inTime(longestAnswerMs, output, value) ?? [
      `it takes longer than ${longestAnswerMs} ms to judge; shorter texts and fewer parts are quicker`,
    ],
  arguments: (name, value) => {
    const tool = tools.find((known) => known.name === name);
    return tool ? (inTime(longestArgumentsMs, tool.inputSchema, value) ?? []) : [];
  },
});
