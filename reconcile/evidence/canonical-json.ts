/** JSON with the members of each object in order: equal values are equal bytes, whatever order they came in. */
export const canonicalText = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );

const encoder = new TextEncoder();
/** Bytes of a text as UTF-8. */
export const bytesOf = (text: string): number => encoder.encode(text).length;
