import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import type { Source } from './exposed.ts';
import type { View } from './view.ts';

/** Characters of one server, and of all: a model reads them at the beginning of each conversation. */
const longestOfServer = 4000;
const longestOfAll = 16_000;

const hidden = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu;

/** Text as a person would see it: instructions are not pinned, so nothing may stand in them that hides from who looks. */
const plain = (text: string): string => text.replace(hidden, (character) => ('\n\t'.includes(character) ? character : ''));

const cut = (text: string, length: number): string => (text.length <= length ? text : `${text.slice(0, length - 1).toWellFormed()}…`);

/** The sources of which the caller sees something, each server once. */
const visibleSources = (view: View): Source[] => {
  const seen = new Set((['tool', 'prompt', 'template'] as const).flatMap((kind) => view.list(kind).map(({ server }) => server.uid)));
  return [...new Map(view.sources.filter(({ server }) => seen.has(server.uid)).map((source) => [source.server.uid, source])).values()];
};

/** What the servers say of their use to whom they are visible, in the order of the toolset and each under its name where there are several. */
export const mergeInstructions = (pool: Pick<UpstreamPool, 'factsOf'>, view: View): string | undefined => {
  const said = visibleSources(view).flatMap(({ server }) => {
    const text = plain(pool.factsOf(server)?.instructions ?? '').trim();
    return text === '' ? [] : [{ name: server.metadata.name, text: cut(text, longestOfServer) }];
  });
  const [only] = said;
  if (!only) return undefined;
  const merged = said.length === 1 ? only.text : said.map(({ name, text }) => `## ${name}\n${text}`).join('\n\n');
  return cut(merged, longestOfAll);
};
