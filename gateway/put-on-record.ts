import type { NewAuditEvent } from '../schema/audit-event.ts';
import type { GatewayContext } from './gateway-context.ts';
import type { Trace } from './mcp/trace-context.ts';

/** Writes the row of a call that has ended, and tells those who count and trace. */
export const putOnRecord = ({ audit, observe }: GatewayContext, event: NewAuditEvent, trace: Trace): void => {
  audit.write(event);
  observe?.(event, trace);
};
