import { isObject, type JsonObject, objectAt } from '../../gateway/mcp/message.ts';
import { plainText } from '../output/plain-text.ts';

/** Asks one line of a person; undefined when they want no more (end of input). */
export type Ask = (question: string) => Promise<string | undefined>;
type Answer = string | number | boolean | string[];
type Reading = { ok: true; value: Answer | undefined } | { ok: false; why: string };

const maxTries = 5;

/** Values to choose from, with what they are called. */
const choicesOf = (schema: JsonObject): { value: string; title: string }[] => {
  const listed = [schema.oneOf, schema.anyOf].find(Array.isArray) as unknown[] | undefined;
  if (listed) return listed.filter(isObject).map((each) => ({ value: String(each.const), title: String(each.title ?? each.const) }));
  const names = Array.isArray(schema.enumNames) ? schema.enumNames : [];
  return Array.isArray(schema.enum)
    ? schema.enum.map((value, index) => ({ value: String(value), title: String(names[index] ?? value) }))
    : [];
};

const readChoice = (schema: JsonObject, text: string): Reading => {
  const choices = choicesOf(schema);
  const chosen = choices.find(({ value, title }, index) => [value, title, String(index + 1)].includes(text));
  return chosen ? { ok: true, value: chosen.value } : { ok: false, why: `one of ${choices.map(({ title }) => title).join(', ')}` };
};

const readNumber = ({ type, minimum, maximum }: JsonObject, text: string): Reading => {
  const value = Number(text);
  if (text === '' || !Number.isFinite(value) || (type === 'integer' && !Number.isInteger(value))) return { ok: false, why: `a number` };
  if (typeof minimum === 'number' && value < minimum) return { ok: false, why: `at least ${minimum}` };
  if (typeof maximum === 'number' && value > maximum) return { ok: false, why: `at most ${maximum}` };
  return { ok: true, value };
};

const readText = ({ minLength, maxLength }: JsonObject, text: string): Reading => {
  if (typeof minLength === 'number' && text.length < minLength) return { ok: false, why: `at least ${minLength} characters` };
  if (typeof maxLength === 'number' && text.length > maxLength) return { ok: false, why: `at most ${maxLength} characters` };
  return { ok: true, value: text };
};

/** Reads what a person typed for a field. */
export const readField = (schema: JsonObject, text: string, isRequired: boolean): Reading => {
  if (text === '') {
    if (schema.default !== undefined) return { ok: true, value: schema.default as Answer };
    return isRequired ? { ok: false, why: 'an answer' } : { ok: true, value: undefined };
  }
  if (schema.type === 'array') {
    const items = text.split(',').map((item) => readChoice(objectAt(schema, 'items'), item.trim()));
    const wrong = items.find((item) => !item.ok);
    return wrong ?? { ok: true, value: items.flatMap((item) => (item.ok ? [String(item.value)] : [])) };
  }
  if (choicesOf(schema).length > 0) return readChoice(schema, text);
  if (schema.type === 'number' || schema.type === 'integer') return readNumber(schema, text);
  if (schema.type !== 'boolean') return readText(schema, text);
  if (/^(y|yes|true)$/i.test(text)) return { ok: true, value: true };
  return /^(n|no|false)$/i.test(text) ? { ok: true, value: false } : { ok: false, why: 'yes or no' };
};

const questionOf = (name: string, schema: JsonObject, isRequired: boolean): string => {
  const choices = choicesOf(schema.type === 'array' ? objectAt(schema, 'items') : schema).map(({ title }) => title);
  const hints = [
    ...(typeof schema.description === 'string' ? [schema.description] : []),
    ...(choices.length > 0 ? [choices.join('/')] : schema.type === 'boolean' ? ['yes/no'] : []),
    ...(schema.default !== undefined ? [`default ${JSON.stringify(schema.default)}`] : isRequired ? [] : ['optional']),
  ];
  const title = typeof schema.title === 'string' ? schema.title : name;
  return plainText(`${title}${hints.length > 0 ? ` (${hints.join('; ')})` : ''}: `);
};

export type ElicitationAnswer = { action: 'accept'; content?: Record<string, Answer> } | { action: 'decline' | 'cancel' };

/**
 * Asks a person what a server wants to know, field by field; a page to visit is only shown, never opened.
 * @param tell - says something to the person
 */
export const askPerson = async (params: JsonObject, ask: Ask, tell: (text: string) => void): Promise<ElicitationAnswer> => {
  tell(plainText(String(params.message ?? 'The server asks for something.')));
  if (params.mode === 'url') {
    tell(plainText(`It wants you to visit ${String(params.url)}`));
    const answer = await ask('Will you? [y/N] ');
    return { action: answer === undefined ? 'cancel' : /^y(es)?$/i.test(answer.trim()) ? 'accept' : 'decline' };
  }
  const schema = objectAt(params, 'requestedSchema');
  const required: unknown[] = Array.isArray(schema.required) ? schema.required : [];
  const content: Record<string, Answer> = {};
  for (const [name, field] of Object.entries(objectAt(schema, 'properties'))) {
    if (!isObject(field)) continue;
    const isRequired = required.includes(name);
    for (let tries = 1; ; tries += 1) {
      const text = await ask(questionOf(name, field, isRequired));
      if (text === undefined || tries > maxTries) return { action: 'cancel' };
      const reading = readField(field, text.trim(), isRequired);
      if (!reading.ok) {
        tell(`Expected ${plainText(reading.why)}.`);
        continue;
      }
      if (reading.value !== undefined) content[name] = reading.value;
      break;
    }
  }
  const answer = await ask('Send this? [Y/n] ');
  if (answer === undefined) return { action: 'cancel' };
  return /^n(o)?$/i.test(answer.trim()) ? { action: 'decline' } : { action: 'accept', content };
};
