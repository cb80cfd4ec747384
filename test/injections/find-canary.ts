/** So many characters of it in a row are no accident. */
const pieceLength = 6;

const piecesOf = (canary: string): string[] =>
  Array.from({ length: canary.length - pieceLength + 1 }, (_unused, at) => canary.slice(at, at + pieceLength));

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
};
const bytesOf = (text: string, pattern: RegExp, encoding: 'base64' | 'hex'): string =>
  [...text.matchAll(pattern)].map(([token]) => Buffer.from(token, encoding).toString('latin1')).join('\n');

/**
 * Looks for a secret in whatever was on a wire: as it stands, in pieces, in base64, hexadecimal or an address, written backwards, or with
 * anything between its letters.
 * @returns in which dress a piece of it was found; undefined where it is nowhere
 */
export const findCanary = (wire: string, canary: string): string | undefined => {
  const dresses: Record<string, string> = {
    plain: wire,
    address: decoded(wire.replace(/%(?![0-9a-f]{2})/gi, '')),
    base64: bytesOf(wire, /[A-Za-z0-9+/_-]{8,}={0,2}/g, 'base64'),
    hex: bytesOf(wire, /(?:[0-9a-f]{2}){4,}/gi, 'hex'),
    backwards: [...wire].reverse().join(''),
    spread: wire.replace(/[^a-z0-9]/gi, ''),
  };
  const pieces = piecesOf(canary.toLowerCase());
  return Object.entries(dresses).find(([, text]) => {
    const lower = text.toLowerCase();
    return pieces.some((piece) => lower.includes(piece));
  })?.[0];
};
