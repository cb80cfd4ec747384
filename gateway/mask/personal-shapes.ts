import { ibanLength, isCardNumber, isIban } from './checksums.ts';

export type PersonalKind = 'email' | 'phone' | 'card' | 'iban' | 'ssn';
type Replace = (kind: PersonalKind, found: string) => string;

const isLocal = (code: number): boolean =>
  (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || '._%+-'.includes(String.fromCharCode(code));
const longestLocal = 64;
const domain = /[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}/y;

/** E-mail addresses, from their @ to both sides, so that no character is looked at more than a few times. */
const replaceEmails = (text: string, replace: Replace): string => {
  let clean = '';
  let done = 0;
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', Math.max(at + 1, done))) {
    let start = at;
    while (start > done && at - start < longestLocal && isLocal(text.charCodeAt(start - 1))) start -= 1;
    domain.lastIndex = at + 1;
    const host = start < at ? domain.exec(text)?.[0] : undefined;
    if (host === undefined) continue;
    const end = at + 1 + host.length;
    clean += text.slice(done, start) + replace('email', text.slice(start, end));
    done = end;
  }
  return done === 0 ? text : clean + text.slice(done);
};

const groups = /(?<![\d.])\d{1,19}(?:[ -]\d{1,19}){0,18}/g;

/** Cards among digits that stand in groups: any run of whole groups may be one. */
const replaceCards = (text: string, replace: Replace): string =>
  text.replace(groups, (run) => {
    if (run.length < 13) return run;
    const parts = [...run.matchAll(/\d+/g)].map((part) => ({ from: part.index, to: part.index + part[0].length, digits: part[0] }));
    let clean = '';
    let done = 0;
    for (let first = 0; first < parts.length; first += 1) {
      let digits = '';
      for (let last = first; last < parts.length && digits.length < 19; last += 1) {
        digits += parts[last]?.digits ?? '';
        if (digits.length < 13 || !isCardNumber(digits)) continue;
        const [from, to] = [parts[first]?.from ?? 0, parts[last]?.to ?? 0];
        clean += run.slice(done, from) + replace('card', run.slice(from, to));
        done = to;
        first = last;
        break;
      }
    }
    return clean + run.slice(done);
  });

const ibanShape = /(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}/g;

const replaceIbans = (text: string, replace: Replace): string =>
  text.replace(ibanShape, (run) => {
    const length = ibanLength(run.slice(0, 2));
    if (length === undefined) return run;
    let seen = 0;
    let end = 0;
    while (end < run.length && seen < length) {
      if (run[end] !== ' ') seen += 1;
      end += 1;
    }
    const found = run.slice(0, end);
    const goesOn = /[A-Z0-9]/.test(run[end] ?? '');
    return seen === length && !goesOn && isIban(found.replaceAll(' ', '')) ? replace('iban', found) + run.slice(end) : run;
  });

const phone = /(?<![\w+])\+[1-9](?:[ .()-]{0,2}\d){7,14}(?!\d)/g;
const socialSecurity = /(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])/g;

/** Replaces what is about a person by its form, and where there is one its checksum. @returns the same string where there is nothing */
export const replacePersonal = (text: string, replace: Replace): string => {
  let clean = text.includes('@') ? replaceEmails(text, replace) : text;
  if (!/\d{2}/.test(clean)) return clean;
  clean = replaceIbans(clean, replace);
  clean = clean.replace(phone, (found) => replace('phone', found));
  clean = replaceCards(clean, replace);
  return clean.replace(socialSecurity, (found) => replace('ssn', found));
};
