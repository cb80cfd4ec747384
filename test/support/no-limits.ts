import type { GatewayContext } from '../../gateway/gateway-context.ts';

/** Rates of a gateway where none are declared. */
export const nothingLimited: GatewayContext['rates'] = {
  isEmpty: true,
  within: (_principal, _resource, _tool, work) => work(),
  openStream: () => ({ ok: true, leave: () => undefined }),
};

/** A gateway's brake where nothing is ever halted, for tests of other parts. */
export const nothingHalted: GatewayContext['halts'] = {
  isClear: true,
  check: () => undefined,
  find: () => undefined,
  begin: (what) => ({ what, number: 0, halted: undefined, cut: undefined }),
  end: () => undefined,
  onChange: () => () => undefined,
};
