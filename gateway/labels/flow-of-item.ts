import type { Exposed, Source } from '../surface/exposed.ts';
import { type Flow, flowOf } from './flow-of.ts';

const flows = new WeakMap<Exposed, Flow>();

/** What a tool, prompt or template gives out and may be given; worked out once for each. A template is what it leads to. */
export const flowOfItem = (item: Exposed): Flow => {
  const known = flows.get(item);
  if (known) return known;
  const { kind, name, readOnly, openWorld } = item.pinned;
  const flow = flowOf(
    item.server,
    kind === 'tool' ? { kind, name, readOnly, openWorld } : { kind: kind === 'prompt' ? kind : 'resource', name },
  );
  flows.set(item, flow);
  return flow;
};

export const flowOfResource = ({ server }: Source, uri: string): Flow => flowOf(server, { kind: 'resource', name: uri });
