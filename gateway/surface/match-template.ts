/** One stretch of a URI template: text as it stands, or characters that a variable may stand for. */
type Token = { text: string } | { accepts: (character: string) => boolean; isOptional: boolean; lead: string };

const inSegment = (character: string): boolean => !'/?#'.includes(character);
const inPath = (character: string): boolean => !'?#'.includes(character);
const beforeFragment = (character: string): boolean => character !== '#';
const any = (): boolean => true;

/** What each operator of RFC 6570 expands to. @see https://www.rfc-editor.org/rfc/rfc6570#appendix-A */
const operators: Readonly<Record<string, { lead: string; accepts: (character: string) => boolean }>> = {
  '+': { lead: '', accepts: any },
  '#': { lead: '#', accepts: any },
  '.': { lead: '.', accepts: inSegment },
  '/': { lead: '/', accepts: inPath },
  ';': { lead: ';', accepts: inSegment },
  '?': { lead: '?', accepts: beforeFragment },
  '&': { lead: '&', accepts: beforeFragment },
};

const parse = (template: string): Token[] =>
  template.split(/(\{[^{}]*\})/).flatMap((part): Token[] => {
    if (part === '') return [];
    if (!/^\{[^{}]+\}$/.test(part)) return [{ text: part }];
    const operator = operators[part.charAt(1)];
    return [operator ? { ...operator, isOptional: operator.lead !== '' } : { lead: '', accepts: inSegment, isOptional: false }];
  });

const maxParsed = 10_000;
const parsed = new Map<string, Token[]>();

const tokensOf = (template: string): Token[] => {
  let tokens = parsed.get(template);
  if (!tokens) {
    if (parsed.size >= maxParsed) parsed.clear();
    tokens = parse(template);
    parsed.set(template, tokens);
  }
  return tokens;
};

/** Longer ones are no URIs that a template means. */
const maxUriLength = 8192;

/**
 * Whether a URI can have come from a URI template. It walks over all ways to read the URI at once, so that a template of many
 * variables takes no longer than its length times that of the URI.
 */
export const matchesTemplate = (template: string, uri: string): boolean => {
  const tokens = tokensOf(template);
  const [first] = tokens;
  if (uri.length > maxUriLength || (first && 'text' in first && !uri.startsWith(first.text))) return false;
  let positions = new Uint8Array(uri.length + 1);
  positions[0] = 1;
  for (const token of tokens) {
    const next = new Uint8Array(uri.length + 1);
    const lead = 'text' in token ? token.text : token.lead;
    // how far each reading goes: `isInside` while a variable that began somewhere before may still go on
    let isInside = false;
    for (let at = 0; at <= uri.length; at += 1) {
      if (isInside) next[at] = 1;
      const begins = positions[at] === 1;
      if ('text' in token) {
        if (begins && uri.startsWith(lead, at)) next[at + lead.length] = 1;
        continue;
      }
      if (begins && token.isOptional) next[at] = 1;
      const character = uri.charAt(at);
      if (token.lead === '') isInside = (isInside || begins) && token.accepts(character);
      else isInside = (begins && character === token.lead) || (isInside && token.accepts(character));
    }
    positions = next;
  }
  return positions[uri.length] === 1;
};
