import MiniSearch from 'minisearch';
import { isObject, objectAt } from '../mcp/message.ts';
import type { Exposed } from './exposed.ts';

/** Where in the indexed list the tools stand that fit a query, best first. */
export type ToolIndex = (query: string) => readonly number[];

type Entry = { id: number; name: string; title: string; description: string; parameters: string };

/** Characters of a tool that are looked at: descriptions may be long, and an index of them is made while a call waits. */
const longestText = 8000;
/** Schemas are walked so deep. */
const deepestParameter = 4;
/** Words of a query that are looked for. */
const mostWords = 16;
/** So many tools are taken in before others get their turn: a thousand of them take some hundred milliseconds in all. */
const atOnce = 20;

const textIn = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Names and descriptions of a schema's properties, those inside them too. */
const parametersOf = (schema: unknown, depth = 0): string[] => {
  if (!isObject(schema) || depth > deepestParameter) return [];
  const own = Object.entries(objectAt(schema, 'properties')).flatMap(([name, property]) =>
    isObject(property) ? [name, textIn(property.description), ...parametersOf(property, depth + 1)] : [name],
  );
  return [...own, ...parametersOf(schema.items, depth + 1)];
};

const entryOf = ({ name, shown }: Pick<Exposed, 'name' | 'shown'>, id: number): Entry => {
  const { title, description, annotations, inputSchema } = shown;
  return {
    id,
    name,
    title: textIn(title) || textIn(objectAt({ annotations }, 'annotations').title),
    description: textIn(description).slice(0, longestText),
    parameters: parametersOf(inputSchema).join(' ').slice(0, longestText),
  };
};

/** `createIssue`, `create_issue` and `create-issue` are the same two words. */
const wordsOf = (text: string): string[] =>
  text
    .replaceAll(/(?<=[\p{Ll}\p{N}])(?=\p{Lu})/gu, ' ')
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter((word) => word !== '');

/** Makes an index over tools as their caller sees them. What is not in the list is in no way part of the ranking either. */
export const createToolIndex = async (items: readonly Pick<Exposed, 'name' | 'shown'>[]): Promise<ToolIndex> => {
  const index = new MiniSearch<Entry>({
    fields: ['name', 'title', 'description', 'parameters'],
    tokenize: wordsOf,
    searchOptions: {
      boost: { name: 4, title: 3, description: 2, parameters: 1 },
      // "issue" finds "issues", and a slip of the pen its word; short words would find anything
      prefix: (word) => word.length >= 4,
      fuzzy: (word) => (word.length >= 5 ? 0.2 : false),
      maxFuzzy: 2,
    },
  });
  await index.addAllAsync(items.map(entryOf), { chunkSize: atOnce });
  return (query) => {
    const words = [...new Set(wordsOf(query).map((word) => word.toLowerCase()))].slice(0, mostWords);
    return index.search(words.join(' ')).map(({ id }) => Number(id));
  };
};
