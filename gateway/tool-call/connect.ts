import { required, runOf, type ToolCallStep, unknownTool } from './tool-call.ts';

/** Makes sure that the server runs and offers exactly the pinned tool, before anything is promised. */
export const connect: ToolCallStep = async (call, next) => {
  const { server, tool } = required(call.tool, 'the tool');
  const connection = await call.upstreams.connect(server, runOf(call.principal));
  if (connection.offered.get(tool.name) !== tool.approvedHash) throw unknownTool(call);
  call.connection = connection;
  return next();
};
