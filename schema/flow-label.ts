import { z } from 'zod';

/** How secret something is: 0 public, 1 internal, 2 confidential, 3 restricted. */
export const SecrecySchema = z.number().int().min(0).max(3);
export const secrecyNames = ['public', 'internal', 'confidential', 'restricted'] as const;

/** Where something of a label came from: `org/project/server/tool/NAME`, `…/resource/URI`, `…/prompt/NAME`, and what was read there. */
export const FlowSourceSchema = z.object({ from: z.string(), secrecy: SecrecySchema, tainted: z.boolean() });
export type FlowSource = z.infer<typeof FlowSourceSchema>;

/**
 * What a run, or a person's client, carries of all that it has read: the highest secrecy, and whether anything was untrusted content, which
 * may hold orders of a stranger. Labels are joined and never fall by themselves.
 */
export const FlowLabelSchema = z.object({ secrecy: SecrecySchema, tainted: z.boolean(), sources: z.array(FlowSourceSchema) });
export type FlowLabel = z.infer<typeof FlowLabelSchema>;

export const noLabel: FlowLabel = Object.freeze({ secrecy: 0, tainted: false, sources: Object.freeze([]) as unknown as FlowSource[] });

/** So many sources are kept by name; of what comes after them the secrecy and the taint count all the same. */
export const mostSources = 64;

const isSame = (one: FlowSource, other: FlowSource): boolean =>
  one.from === other.from && one.secrecy === other.secrecy && one.tainted === other.tainted;

/** Whether joining the second to the first would change nothing. */
export const coversLabel = (held: FlowLabel, added: FlowLabel): boolean =>
  added.secrecy <= held.secrecy &&
  (held.tainted || !added.tainted) &&
  (held.sources.length >= mostSources || added.sources.every((source) => held.sources.some((known) => isSame(known, source))));

/** The label of what was made out of all of these. */
export const joinLabels = (...labels: readonly FlowLabel[]): FlowLabel => {
  const joined: FlowLabel = { secrecy: 0, tainted: false, sources: [] };
  for (const { secrecy, tainted, sources } of labels) {
    joined.secrecy = Math.max(joined.secrecy, secrecy);
    joined.tainted ||= tainted;
    for (const source of sources)
      if (joined.sources.length < mostSources && !joined.sources.some((known) => isSame(known, source))) joined.sources.push(source);
  }
  return joined;
};

const listed = (sources: readonly FlowSource[]): string =>
  `${sources
    .slice(0, 5)
    .map(({ from }) => from)
    .join(', ')}${sources.length > 5 ? ` and ${sources.length - 5} more` : ''}`;

/** In words: `confidential (2) from default/default/files/tool/read; untrusted content from default/default/web/tool/fetch`. */
export const labelText = ({ secrecy, tainted, sources }: FlowLabel): string => {
  const secret = sources.filter((source) => source.secrecy > 0);
  const untrusted = sources.filter((source) => source.tainted);
  return [
    `${secrecyNames[secrecy] ?? 'restricted'} (${secrecy})${secret.length > 0 ? ` from ${listed(secret)}` : ''}`,
    ...(tainted ? [`untrusted content${untrusted.length > 0 ? ` from ${listed(untrusted)}` : ''}`] : []),
  ].join('; ');
};
