import { permitExchange } from '../credentials/permit-exchange.ts';
import { callerOf } from '../surface/caller-of.ts';
import { required, type ToolCallStep, unknownTool } from './tool-call.ts';

/** Makes sure that the server runs and offers exactly the pinned tool, before anything is promised. */
export const connect: ToolCallStep = (call, next) => {
  const tool = required(call.tool, 'the tool');
  const { server, pinned } = tool;
  permitExchange(call.gateway, call.request.principal, tool, call);
  return call.pool.connect(server, callerOf(call.request)).then((connection) => {
    if (connection.offered.get(`tool/${pinned.name}`) !== pinned.approvedHash) throw unknownTool(call);
    connection.assertRoom();
    call.connection = connection;
    return next();
  });
};
