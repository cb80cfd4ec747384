const longest = 300;
const hidden = '…';
/** An echo of this many characters is found wherever it begins; a shorter one only where it is a whole text of the prompt. */
const window = 12;
const stride = 6;
const shortestText = 4;

/** What keys look like: known prefixes, bearer values, and long runs without a space. */
const keyLike = [
  /\b(?:bearer|basic)\s+\S+/gi,
  /\b(?:sk|pk|rk|gsk|xai|key|token)[-_][^\s'"`,;]{4,}/gi,
  /\bAIza[^\s'"`,;]{8,}/g,
  /[A-Za-z0-9_+/=*-]{32,}/g,
];

const oneLine = (text: string): string => text.replace(/[\s\p{Cc}]+/gu, ' ').trim();

/** Hides what the message repeats of the prompt: it would reach logs and workflow histories, where no content may be. */
const withoutEchoes = (message: string, texts: readonly string[]): string => {
  const prompt = oneLine(texts.join('\n'));
  const isEcho = new Array<boolean>(message.length).fill(false);
  for (let at = 0; at + window <= message.length; at += stride) {
    if (!prompt.includes(message.slice(at, at + window))) continue;
    // the echo may begin and end a little beside the window
    isEcho.fill(true, Math.max(0, at - stride + 1), at + window + stride - 1);
  }
  let cleaned = '';
  for (const [index, character] of message.split('').entries()) {
    if (!isEcho[index]) cleaned += character;
    else if (!isEcho[index - 1]) cleaned += hidden;
  }
  return cleaned;
};

/**
 * Makes a provider's own words fit to be shown: one line of at most 300 characters, without keys and without parts of the prompt.
 * @param secrets - exact texts that must not appear
 * @param texts - the texts of the request
 */
export const cleanMessage = (message: string, { secrets, texts }: { secrets: readonly string[]; texts: readonly string[] }): string => {
  let cleaned = oneLine(message.slice(0, 4 * longest));
  for (const secret of secrets) if (secret !== '') cleaned = cleaned.replaceAll(secret, hidden);
  for (const pattern of keyLike) cleaned = cleaned.replaceAll(pattern, hidden);
  for (const text of new Set(texts.filter(({ length }) => length <= 2 * window).map(oneLine)))
    if (text.length >= shortestText) cleaned = cleaned.replaceAll(text, hidden);
  return withoutEchoes(cleaned, texts).slice(0, longest);
};
