import { bytesOf } from './bytes-of.ts';

/** Cuts a text to so many bytes as JSON, never within a character; the end stays too, because logs end with what matters. */
export const cutText = (text: string, most: number): string => {
  if (bytesOf(JSON.stringify(text)) <= most) return text;
  // a character is at least a byte, so that no more of a very long text has to be looked at
  const head = [...text.slice(0, most)];
  const tail = [...text.slice(-most)];
  const mark = '…[cut]…';
  let low = 0;
  let high = Math.min(head.length, tail.length);
  const cutAt = (kept: number): string => {
    const ending = Math.floor(kept * 0.3);
    return `${head.slice(0, kept - ending).join('')}${mark}${ending > 0 ? tail.slice(-ending).join('') : ''}`;
  };
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (bytesOf(JSON.stringify(cutAt(middle))) <= most) low = middle;
    else high = middle - 1;
  }
  return cutAt(low);
};
