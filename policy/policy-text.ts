import type { TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';

/** A string as Cedar writes it. What Cedar's escapes cannot say, JSON's would say in another way, so it is written by its code point. */
export const textLiteral = (text: string): string =>
  `"${text
    .toWellFormed()
    .replace(/["\\]|\p{Cc}/gu, (character) =>
      character === '"' || character === '\\' ? `\\${character}` : `\\u{${character.codePointAt(0)?.toString(16)}}`,
    )}"`;

export const setLiteral = (texts: readonly string[]): string => `[${texts.map(textLiteral).join(', ')}]`;

/** An entity as policies write it. */
export const entityText = ({ type, id }: TypeAndId): string => `${type}::${textLiteral(id)}`;
