const encoder = new TextEncoder();
/** Bytes of a text as UTF-8. */
export const bytesOf = (text: string): number => encoder.encode(text).length;
