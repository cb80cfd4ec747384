/**
 * What secrets of the usual kinds look like. Each pattern begins with fixed text, and where it fails it has looked at a few dozen characters
 * at most, so that a text is searched in time linear in its length, whatever is in it.
 */
const shapes: readonly RegExp[] = [
  /\b[Bb]earer {1,4}[A-Za-z0-9._~+/-]{16,4096}={0,2}/g,
  /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[A-Za-z0-9+/=\\\s]{0,16384}(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?/g,
  /\bsk-[A-Za-z0-9_-]{16,256}/g,
  /\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255})/g,
  /\bglpat-[A-Za-z0-9_-]{16,128}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\bxox[abeoprs]-[A-Za-z0-9-]{10,255}/g,
  /\bAIza[A-Za-z0-9_-]{35}/g,
  /\bhv[sbr]\.[A-Za-z0-9_-]{20,300}/g,
  /\bnpm_[A-Za-z0-9]{30,64}/g,
  /\bqd_[A-Za-z0-9_-]{20,128}/g,
  // the password in a URL
  /(?<=\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/@"'\\]{0,128}:)[^\s:/@"'\\]{1,256}(?=@)/g,
];

/** One cheap look spares most texts all the patterns. */
const mayHoldSecret = /\.eyJ|earer |-----BEGIN|\bsk-|\bgh[pousr]_|github_pat_|glpat-|AKIA|ASIA|xox|AIza|hv[sbr]\.|npm_|qd_|:\/\//;

const isTokenCharacter = (code: number): boolean =>
  (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 45 || code === 95;

/** JSON web tokens, found from their first dot to both sides: a pattern would look at one text again and again. */
const replaceWebTokens = (text: string, replace: (secret: string) => string): string => {
  let clean = '';
  let done = 0;
  for (let dot = text.indexOf('.eyJ'); dot >= 0; dot = text.indexOf('.eyJ', Math.max(dot + 1, done))) {
    let start = dot;
    while (start > done && isTokenCharacter(text.charCodeAt(start - 1))) start -= 1;
    const header = text.indexOf('eyJ', start);
    if (header < 0 || header > dot - 8) continue;
    let end = dot + 4;
    for (let dots = 0; end < text.length; end += 1) {
      if (isTokenCharacter(text.charCodeAt(end))) continue;
      // an encrypted one has five parts, a signed one three
      if (text[end] !== '.' || dots === 3) break;
      dots += 1;
    }
    clean += text.slice(done, header) + replace(text.slice(header, end));
    done = end;
  }
  return done === 0 ? text : clean + text.slice(done);
};

/**
 * Replaces whatever has the shape of a secret.
 * @returns the same string where there is none
 */
export const replaceSecretShapes = (text: string, replace: (secret: string) => string): string => {
  if (!mayHoldSecret.test(text)) return text;
  let clean = replaceWebTokens(text, replace);
  for (const shape of shapes) clean = clean.replace(shape, replace);
  return clean;
};
