import { PlatformError } from '../../schema/errors.ts';
import { checkParameterHeaders } from '../edge/check-parameter-headers.ts';
import { RpcRefusal } from '../exchange/error-reply.ts';
import { declaresTasks, missingTasks } from '../exchange/missing-capabilities.ts';
import { isObject, type JsonObject, objectAt } from '../mcp/message.ts';
import { faultIn } from './fault-in.ts';
import { required, type ToolCallStep } from './tool-call.ts';

/** The arguments without those that are null and need not be there: clients write null for what they leave out. The server gets them as they are. */
const present = (given: JsonObject, { required: needed }: JsonObject): JsonObject => {
  const names = Object.keys(given).filter((name) => given[name] === null && !(Array.isArray(needed) && needed.includes(name)));
  if (names.length === 0) return given;
  return Object.fromEntries(Object.entries(given).filter(([name]) => !names.includes(name)));
};

/**
 * Holds a call to what the tool's pinned definition says: headers that repeat arguments, capabilities that the client needs, and the
 * input schema. The refusal names the field.
 */
export const checkInput: ToolCallStep = (call, next) => {
  const tool = required(call.tool, 'the tool');
  const { params, client, parameterHeaders, isFound } = call.request;
  const { inputSchema, execution } = tool.pinned.definition;
  if (client.era === 'modern') {
    // no header, no decision by it on the way; one that is there has to be true whichever way the call came
    const owed = isFound ? tool.headers.filter(({ header }) => Object.hasOwn(parameterHeaders, header)) : tool.headers;
    const mismatch = checkParameterHeaders(owed, params.arguments ?? {}, parameterHeaders);
    if (mismatch) throw new RpcRefusal(mismatch);
    if (objectAt({ execution }, 'execution').taskSupport === 'required' && !declaresTasks(client.capabilities))
      throw new RpcRefusal(missingTasks());
  }
  const fault = faultIn(
    isObject(inputSchema) ? present(call.arguments, inputSchema) : call.arguments,
    inputSchema,
    tool.pinned.approvedHash,
    'arguments',
  );
  if (fault !== undefined) throw new PlatformError('request_invalid', `Invalid arguments for tool ${call.name}: ${fault}.`);
  return next();
};
