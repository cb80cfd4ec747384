/** The characters of base64 that a run of bytes gives wherever it stands in what was encoded: one text for each of three offsets. */
const base64Forms = (bytes: Buffer): string[] =>
  [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    // the first and the last characters depend on what stands beside it
    const begin = offset === 0 ? 0 : offset + 1;
    const whole = Math.floor(((offset + bytes.length) * 8) / 6);
    const inner = text.slice(begin, whole);
    const urlSafe = inner.replaceAll('+', '-').replaceAll('/', '_');
    return inner === urlSafe ? [inner] : [inner, urlSafe];
  });

/** Escapes of JSON, of JSON inside JSON, and of URLs and forms. */
const escapedForms = (value: string): string[] => {
  const json = JSON.stringify(value).slice(1, -1);
  const twice = JSON.stringify(json).slice(1, -1);
  const url = encodeURIComponent(value.toWellFormed());
  return [json, twice, url, url.replaceAll('%20', '+'), url.toLowerCase()];
};

/** All the ways in which a secret may stand in a text, longest first. Forms that are too short to tell anything are left out. */
export const encodedForms = (value: string): string[] => {
  const bytes = Buffer.from(value);
  const forms = [value, ...escapedForms(value), bytes.toString('hex'), bytes.toString('base64'), ...base64Forms(bytes)];
  return [...new Set(forms)].filter((form) => form.length >= 6).sort((a, b) => b.length - a.length);
};
