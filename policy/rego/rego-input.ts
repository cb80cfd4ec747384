import type { Tenancy } from '../../schema/ids.ts';

/** Levels and bytes of what is given to an evaluation; more is refused without asking. */
export const mostInputDepth = 100;
export const mostInputBytes = 1024 * 1024;

type Who = { kind: 'agent' | 'person'; id: string; person: string; role: string; fleet: string; run: string };

/** What a policy sees of a call. `atSeconds` is the time of the call: a policy has no clock of its own. */
export type ToolCallInput = Tenancy & {
  version: 1;
  kind: 'toolCall';
  atSeconds: number;
  principal: Who;
  toolset: string;
  server: string;
  tool: string;
  hints: { readOnly: boolean; destructive: boolean; idempotent: boolean; openWorld: boolean };
  /** As the server would get them. */
  arguments: object;
  /** What the client answers to questions that the server asked before, by their keys; empty in the first round of a call. */
  inputResponses: object;
  /** Paths, URLs and hosts of the arguments in one spelling, as Cedar sees them. */
  facts: object;
};
/** What a policy sees of a resource that is to be applied. */
export type ManifestInput = Tenancy & { version: 1; kind: 'manifest'; atSeconds: number; principal: Who; manifest: object };
export type RegoInput = ToolCallInput | ManifestInput;

const text = { type: 'string' };
const flag = { type: 'boolean' };
const texts = { type: 'array', items: text };
const closed = (properties: object): object => ({ type: 'object', properties, additionalProperties: false });
const open = { type: 'object', additionalProperties: true };

/** The same as JSON Schema, for the compiler: a policy that looks at a place that no input has is refused before it is published. */
export const regoInputSchema = closed({
  version: { type: 'number' },
  kind: text,
  atSeconds: { type: 'number' },
  org: text,
  project: text,
  principal: closed({ kind: text, id: text, person: text, role: text, fleet: text, run: text }),
  toolset: text,
  server: text,
  tool: text,
  hints: closed({ readOnly: flag, destructive: flag, idempotent: flag, openWorld: flag }),
  arguments: open,
  inputResponses: open,
  facts: closed({ paths: texts, roots: texts, urls: texts, hosts: texts, canonical: flag, bytes: { type: 'number' } }),
  manifest: open,
});

/** Whether a JSON text is nested deeper than `most`: an evaluation reads it recursively, on a stack that can end. */
export const isDeeper = (json: string, most: number): boolean => {
  let depth = 0;
  let isText = false;
  for (let index = 0; index < json.length; index += 1) {
    const code = json.charCodeAt(index);
    if (isText) {
      if (code === 0x5c) index += 1;
      else if (code === 0x22) isText = false;
    } else if (code === 0x22) isText = true;
    else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > most) return true;
    } else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return false;
};
