import type { GatewayContext } from '../../gateway/gateway-context.ts';

/** A gateway's brake where nothing is ever halted, for tests of other parts. */
export const nothingHalted: GatewayContext['halts'] = {
  check: () => undefined,
  find: () => undefined,
  begin: (what) => ({ what, halted: undefined, cut: undefined }),
  end: () => undefined,
  onChange: () => () => undefined,
};
