import { hash } from 'node:crypto';
import type { Context, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';

/** A thing that decisions are about, with all that policies may know of it. Made once and never changed: its digest is computed once. */
export type Known = { readonly uid: TypeAndId; readonly entities: readonly EntityJson[] };

/** A request whose parts outlive it. `surroundings` is what both sides stand in: the resource's project. */
export type KnownRequest = {
  principal: Known;
  action: string;
  resource: Known;
  surroundings: Known;
  context: Context;
  forAnyArguments?: boolean;
};

const digests = new WeakMap<Known, string>();

/** What is stored under a digest: short enough for a row of the audit to hold several, too long to be met by accident or on purpose. */
export const digestOfText = (text: string): string => hash('sha256', text, 'base64url').slice(0, 24);

/** Stands for everything that is known of a thing. */
export const digestOf = (known: Known): string => {
  const found = digests.get(known);
  if (found !== undefined) return found;
  const digest = digestOfText(JSON.stringify([known.uid, known.entities]));
  digests.set(known, digest);
  return digest;
};
