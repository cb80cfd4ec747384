import type { PlacedText } from './texts-of.ts';

/** Ways in which descriptions are known to steer a model past their own tool. */
const patterns: readonly { what: string; pattern: RegExp }[] = [
  { what: 'a tag that models take for an instruction', pattern: /<\/?\s*(important|system|instructions?|secret|critical|admin)\b[^>]*>/i },
  { what: 'a mark of a chat template', pattern: /<\|[a-z_]+\|>|\[\/?INST\]|<\/?s>/i },
  {
    what: 'a call to set other instructions aside',
    pattern:
      /\b(ignore|disregard|forget|override)\b.{0,30}\b(previous|prior|earlier|above|other|all)\b.{0,20}\b(instructions?|rules|prompts?|messages?)\b/i,
  },
  {
    what: 'a call to keep something from the person',
    pattern:
      /\b(do not|don't|never|without)\s+(tell|telling|mention|mentioning|inform|informing|reveal|revealing|notify|notifying|show|showing)\b.{0,40}\buser\b/i,
  },
  {
    what: 'orders about other tools',
    pattern:
      /\b(before|prior to|instead of|rather than|after)\s+(using|calling|invoking|running|you (use|call|run))\s+(any|all|every|the|another|other)?\s*(other\s+)?tools?\b/i,
  },
];

const shownLength = 80;

const excerpt = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > shownLength ? `${line.slice(0, shownLength).toWellFormed()}…` : line;
};

/** Says where a definition gives orders instead of describing itself. A person should look; the definition is used nevertheless. */
export const findInstructions = (texts: readonly PlacedText[]): string[] =>
  texts.flatMap(({ path, text }) =>
    patterns.flatMap(({ what, pattern }) => {
      const match = pattern.exec(text);
      return match ? [`${what} in ${path}: “${excerpt(match[0])}”`] : [];
    }),
  );

const order =
  /\b(before|after|prior to|instead of|rather than|always|must|should first|first)\b.{0,60}$|^.{0,60}\b(first|instead|beforehand|afterwards)\b|\b(always|must|need to|have to)\s+(also\s+)?(use|call|run|invoke)\b/i;

/**
 * Says where a definition gives orders about a tool of another server: that is how one server reaches into another's (tool shadowing).
 * @param others - names of what other servers offer, each with its server
 */
export const findOrdersAboutOthers = (texts: readonly PlacedText[], others: ReadonlyMap<string, string>): string[] =>
  texts.flatMap(({ path, text }) =>
    text.split(/(?<=[.!?;\n])\s/).flatMap((sentence) => {
      const named = [...sentence.matchAll(/[A-Za-z0-9_.-]*[A-Za-z0-9]/g)].filter(([word]) => others.has(word));
      return named.flatMap(({ 0: word, index }) => {
        const around = [sentence.slice(0, index), sentence.slice(index + word.length)];
        if (!around.some((part) => order.test(part))) return [];
        return [`orders about ${word} of the server ${others.get(word)} in ${path}: “${excerpt(sentence)}”`];
      });
    }),
  );
