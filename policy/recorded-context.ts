import type { Context } from '@cedar-policy/cedar-wasm/nodejs';
import type { ArgumentFacts } from './argument-facts.ts';

/** The facts of a call as a row of the audit holds them. */
export type RecordedFacts = Readonly<Record<string, unknown>>;

/** Stands where a request must have arguments and none decides. */
export const noArguments: ArgumentFacts = { paths: [], roots: [], urls: [], hosts: [], canonical: true, bytes: 0 };

const actionsWithArguments: ReadonlySet<string> = new Set(['callTool', 'getPrompt', 'readResource']);

/** A query or a fragment may hold a secret, so neither goes on record; what was left out is marked. */
const cutUrl = (url: string): string => {
  const end = url.search(/[?#]/);
  return end < 0 ? url : `${url.slice(0, end)}?…`;
};

/** A row is no place to keep what a caller sends: so many characters of each kind of argument stand in it. */
const mostCharacters = 8192;

const isShort = (texts: readonly string[]): boolean => {
  let characters = 0;
  for (const { length } of texts) characters += length;
  return characters <= mostCharacters && texts.length <= mostCharacters / 8;
};

/** Texts of arguments as a row has them; where they are more than it takes, the first of them, and the beginning of the next. */
export const recordedTexts = (texts: string[]): string[] => {
  if (isShort(texts)) return texts;
  const kept: string[] = [];
  let left = mostCharacters;
  for (const text of texts.slice(0, mostCharacters / 8)) {
    if (left <= 0) break;
    kept.push(text.length > left ? `${text.slice(0, left)}…` : text);
    left -= text.length;
  }
  return kept;
};

const recordedArguments = ({ paths, roots, urls, hosts, canonical, bytes }: ArgumentFacts) => ({
  paths: recordedTexts(paths),
  hosts: recordedTexts(hosts),
  bytes,
  ...(roots.length > 0 ? { roots } : {}),
  ...(urls.length > 0 ? { urls: recordedTexts(urls.map(cutUrl)) } : {}),
  ...(canonical ? {} : { canonical }),
  ...([paths, hosts, urls].every(isShort) ? {} : { isShortened: true }),
});

const usualWho = (run: string | null) => ({ hasHuman: true, run: run ?? '' });

/** Nothing is carried: what every context says that says nothing of it. */
const isEmptyFlow = (flow: unknown): boolean => {
  const { secrecy, tainted } = flow as { secrecy: number; tainted: boolean };
  return secrecy === 0 && !tainted;
};

/**
 * The context of a decision for its row of the audit: all that a policy could see of it, without what is empty or said by the row anyway.
 * @param run - of the row
 */
export const recordContext = (context: Context, run: string | null, forAnyArguments = false): Record<string, unknown> => {
  const { hasHuman, run: runOfWho, ...more } = context.who as ReturnType<typeof usualWho>;
  const usual = usualWho(run);
  const kept: Record<string, unknown> = {};
  if (hasHuman !== usual.hasHuman || runOfWho !== usual.run || Object.keys(more).length > 0) kept.who = context.who;
  for (const name of Object.keys(context))
    if (name !== 'who' && name !== 'arguments' && !(name === 'flow' && isEmptyFlow(context.flow))) kept[name] = context[name];
  return {
    ...(context.arguments && !forAnyArguments ? recordedArguments(context.arguments as unknown as ArgumentFacts) : {}),
    ...(Object.keys(kept).length > 0 ? { context: kept } : {}),
  };
};

const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []);

/** Whether there were more arguments than a row takes. */
export const isShortened = (facts: RecordedFacts): boolean => facts.isShortened === true;

/** Whether a part of the arguments was left out of the record, so that it is not known what a policy found in it. */
export const isCut = ({ urls, ...facts }: RecordedFacts): boolean => isShortened(facts) || texts(urls).some((url) => url.endsWith('?…'));

const argumentsIn = ({ paths, roots, urls, hosts, canonical, bytes }: RecordedFacts): ArgumentFacts => ({
  paths: texts(paths),
  roots: texts(roots),
  urls: texts(urls),
  hosts: texts(hosts),
  canonical: canonical !== false,
  bytes: typeof bytes === 'number' ? bytes : 0,
});

/** The context that a decision was made in, out of its row. */
export const recordedContext = (
  action: string,
  { run, facts }: { run: string | null; facts: RecordedFacts },
  forAnyArguments = false,
): Context => ({
  who: usualWho(run),
  ...((facts.context as Context | undefined) ?? {}),
  ...(actionsWithArguments.has(action) ? { arguments: forAnyArguments ? noArguments : argumentsIn(facts) } : {}),
});
