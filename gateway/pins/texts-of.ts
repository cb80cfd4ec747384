/** One text of a definition and where it stands, such as `inputSchema.properties.path.description`. */
export type PlacedText = { path: string; text: string };

/** Every text of a definition, the names of its fields included. */
export const textsOf = (value: unknown, path = ''): PlacedText[] => {
  if (typeof value === 'string') return [{ path, text: value }];
  if (Array.isArray(value)) return value.flatMap((each, index) => textsOf(each, `${path}[${index}]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const place = path === '' ? key : `${path}.${key}`;
    return [{ path: `${place} (its name)`, text: key }, ...textsOf(inner, place)];
  });
};
