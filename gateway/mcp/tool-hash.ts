import { createHash } from 'node:crypto';
import type { Tool } from '@modelcontextprotocol/client';
import { canonicalJson } from '../../store/resources.ts';
import type { ObservedTool } from '../../store/tool-definitions.ts';

/** A tool as a server gave it, with the hash over every field and its hints; a hint that is not given is the careful one. */
export const observeTool = (tool: Tool): ObservedTool => ({
  name: tool.name,
  definition: tool,
  hash: createHash('sha256').update(canonicalJson(tool)).digest('hex'),
  readOnly: tool.annotations?.readOnlyHint ?? false,
  destructive: tool.annotations?.destructiveHint ?? true,
  idempotent: tool.annotations?.idempotentHint ?? false,
  openWorld: tool.annotations?.openWorldHint ?? true,
});
