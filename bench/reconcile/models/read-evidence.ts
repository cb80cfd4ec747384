// biome-ignore lint/suspicious/noExplicitAny: objects of the evidence are looked at field by field
type Seen = any;

export type Evidence = {
  target: string;
  /** `Kind/namespace/name` of what is at fault, and its kind of fault. */
  object: string;
  kind: string;
  why: string;
  items: { what: string; of: string; text: string }[];
  symptoms: string[];
  /** The object as it is and as declared, and what is around it, by `Kind/namespace/name`. */
  seen: Seen;
  declared: Seen;
  around: Map<string, Seen>;
};

const parse = (text: string): Seen => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // it was cut
  }
};

/** Finds the bundle in what a model was sent, whatever stands around it. */
export const readEvidence = (messages: readonly { content?: unknown }[]): Evidence | undefined => {
  for (const { content } of messages.toReversed()) {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    const at = text.indexOf('{"evidence"');
    const bundle = at === -1 ? undefined : parse(text.slice(at, text.lastIndexOf('}') + 1))?.evidence;
    if (bundle) return evidenceOf(bundle);
  }
  return undefined;
};

export const evidenceOf = (bundle: Seen): Evidence => {
  const items: Evidence['items'] = bundle.untrusted;
  const stateOf = (what: string): Seen => parse(items.find((item) => item.what === what)?.text ?? '');
  return {
    ...{ target: bundle.target.name, object: bundle.object, kind: bundle.kind, why: bundle.why, items },
    symptoms: items.filter(({ what }) => what === 'symptom').map(({ text }) => text),
    ...{ seen: stateOf('object'), declared: stateOf('declared') },
    around: new Map(items.filter(({ what }) => what === 'neighbour').map(({ of, text }) => [of, parse(text)])),
  };
};
