import { isUtf8 } from 'node:buffer';
import { isExactNumber, parseExactly } from '../../schema/exact-json.ts';
import { scanJson } from '../llm/scan-json.ts';
import { rpcCodes } from '../mcp/message.ts';

export type JsonReading = { ok: true; value: unknown } | { ok: false; code: number; reason: string };

const deepest = 64;
const quote = '"';
const backslash = 92;
const colon = 58;

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9;

const isEscaped = (text: string, quoteAt: number): boolean => {
  let slashes = 0;
  while (text.charCodeAt(quoteAt - 1 - slashes) === backslash) slashes += 1;
  return slashes % 2 === 1;
};

/** How many keys stand in a JSON text: a string is one where a colon follows it. What is between strings need not be looked at. */
const countWrittenKeys = (text: string): number => {
  let keys = 0;
  let at = text.indexOf(quote);
  while (at !== -1) {
    let next = text.indexOf(quote, at + 1);
    while (isEscaped(text, next)) next = text.indexOf(quote, next + 1);
    do next += 1;
    while (isSpace(text.charCodeAt(next)));
    if (text.charCodeAt(next) === colon) keys += 1;
    at = text.indexOf(quote, next);
  }
  return keys;
};

/** How many keys a parsed value has in all; infinitely many where it is nested too deep. */
const countKeys = (value: object, depth: number): number => {
  if (depth > deepest) return Number.POSITIVE_INFINITY;
  if (isExactNumber(value)) return 0;
  let keys = 0;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object' && item !== null) keys += countKeys(item, depth + 1);
    return keys;
  }
  for (const key in value) {
    keys += 1;
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === 'object' && item !== null) keys += countKeys(item, depth + 1);
  }
  return keys;
};

/**
 * Parses a body, and refuses what another parser could read otherwise: a key that occurs twice in one object (the parser keeps one of
 * them, so that there are fewer keys in the value than in the text), more than 64 levels, or bytes that are no UTF-8.
 * @returns `code` −32700 for what is no JSON, −32600 for JSON that is refused
 * @see https://www.rfc-editor.org/rfc/rfc8259#section-4
 */
export const readJson = (body: Buffer): JsonReading => {
  if (!isUtf8(body)) return { ok: false, code: rpcCodes.parse, reason: 'it is not UTF-8' };
  const text = body.toString('utf8');
  let value: unknown;
  try {
    value = parseExactly(text);
  } catch {
    return { ok: false, code: rpcCodes.parse, reason: 'it is not JSON' };
  }
  if (typeof value !== 'object' || value === null) return { ok: true, value };
  const keys = countKeys(value, 1);
  if (keys === Number.POSITIVE_INFINITY)
    return { ok: false, code: rpcCodes.invalidRequest, reason: `it is nested deeper than ${deepest} levels` };
  if (keys === countWrittenKeys(text)) return { ok: true, value };
  const scan = scanJson(text);
  return { ok: false, code: rpcCodes.invalidRequest, reason: scan.ok ? 'a key occurs twice in one object' : scan.reason };
};
