import { tasksExtension } from '../../schema/mcp-revisions.ts';
import { isObject, type JsonObject, objectAt, type Question, type RpcError, rpcCodes } from '../mcp/message.ts';

export const declaresTasks = (capabilities: JsonObject): boolean => objectAt(capabilities, 'extensions')[tasksExtension] !== undefined;

/** Whether anything at all may be asked of a client. */
export const canBeAsked = ({ elicitation, sampling, roots }: JsonObject): boolean =>
  elicitation !== undefined || sampling !== undefined || roots !== undefined;

const elicitationNeeds = (declared: unknown, mode: unknown): JsonObject | undefined => {
  const wanted = mode === 'url' ? 'url' : 'form';
  if (!isObject(declared)) return { elicitation: wanted === 'url' ? { url: {} } : {} };
  // an empty object means forms, and nothing else (2025-11-25)
  const hasForm = declared.form !== undefined || declared.url === undefined;
  return (wanted === 'form' ? hasForm : declared.url !== undefined) ? undefined : { elicitation: { [wanted]: {} } };
};

/** What a client would have to declare to be asked this; undefined where it has. */
export const missingFor = (capabilities: JsonObject, { method, params = {} }: Question): JsonObject | undefined => {
  switch (method) {
    case 'elicitation/create':
      return elicitationNeeds(capabilities.elicitation, params.mode);
    case 'sampling/createMessage': {
      const { sampling } = capabilities;
      if (!isObject(sampling)) return { sampling: {} };
      return params.tools !== undefined && sampling.tools === undefined ? { sampling: { tools: {} } } : undefined;
    }
    case 'roots/list':
      return isObject(capabilities.roots) ? undefined : { roots: {} };
    default:
      return {};
  }
};

/** The refusal of a request that needs a capability which its client has not declared. @see https://modelcontextprotocol.io/specification/2026-07-28/schema#missingrequiredclientcapabilityerror */
export const missingCapability = (requiredCapabilities: JsonObject): RpcError => ({
  code: rpcCodes.missingClientCapability,
  message: `The request needs a capability that the client has not declared: ${JSON.stringify(requiredCapabilities)}.`,
  data: { requiredCapabilities },
});

export const missingTasks = (): RpcError => missingCapability({ extensions: { [tasksExtension]: {} } });
