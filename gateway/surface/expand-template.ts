/** How each operator of RFC 6570 joins its values. `isRaw`: characters that have a meaning in URIs stay as they are. */
const operators: Readonly<Record<string, { lead: string; between: string; isNamed?: boolean; isRaw?: boolean }>> = {
  '+': { lead: '', between: ',', isRaw: true },
  '#': { lead: '#', between: ',', isRaw: true },
  '.': { lead: '.', between: '.' },
  '/': { lead: '/', between: '/' },
  ';': { lead: ';', between: ';', isNamed: true },
  '?': { lead: '?', between: '&', isNamed: true },
  '&': { lead: '&', between: '&', isNamed: true },
};
const plain = { lead: '', between: ',', isNamed: false, isRaw: false };

/**
 * The URI that a template makes of values, as whoever reads it would write it; a variable without a value leaves nothing behind. Modifiers
 * that cut a value are passed over: what is judged is all of it.
 * @param values - well-formed text
 * @returns also the values for which the template has no place
 * @see https://www.rfc-editor.org/rfc/rfc6570#section-3
 */
export const expandTemplate = (
  template: string,
  values: Readonly<Record<string, string>>,
): { uri: string; unused: Record<string, string> } => {
  const unused = new Map(Object.entries(values));
  const given = new Map(unused);
  const uri = template.replace(/\{([+#./;?&]?)([^{}]+)\}/g, (_expression, operator: string, list: string) => {
    const { lead, between, isNamed = false, isRaw = false } = operators[operator] ?? plain;
    const parts = list.split(',').flatMap((variable) => {
      const name = variable.replace(/(\*|:\d+)$/, '');
      const value = given.get(name);
      unused.delete(name);
      if (value === undefined) return [];
      const text = isRaw ? encodeURI(value).replaceAll('%25', '%') : encodeURIComponent(value);
      return [isNamed ? `${name}=${text}` : text];
    });
    return parts.length === 0 ? '' : `${lead}${parts.join(between)}`;
  });
  return { uri, unused: Object.fromEntries(unused) };
};
