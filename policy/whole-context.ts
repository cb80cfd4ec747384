import type { Context } from '@cedar-policy/cedar-wasm/nodejs';
import type { FlowLabel } from '../schema/flow-label.ts';
import { withApproval } from './approval-rules.ts';
import { entityUid } from './entities.ts';

const labelledActions: ReadonlySet<string> = new Set(['callTool', 'getPrompt', 'readResource', 'invokeModel']);

/** What a decision's context says of a caller who carries nothing. */
const unlabelled: Context = { flow: { secrecy: 0, tainted: false, sources: [] } };

/** What a decision's context says of what the caller carries; sources by their servers. */
export const flowContext = ({ secrecy, tainted, sources }: FlowLabel) => ({
  secrecy,
  tainted,
  sources: [...new Set(sources.map(({ from }) => from.split('/', 3).join('/')))].map((server) => ({
    __entity: entityUid('Server', server),
  })),
});

export const withFlow = (action: string, context: Context): Context =>
  labelledActions.has(action) && context.flow === undefined ? { ...unlabelled, ...context } : context;

/** A context with all that the vocabulary wants of it: nobody approved, and nothing is carried, unless it is said. */
export const wholeContext = (action: string, context: Context): Context => withFlow(action, withApproval(action, context));
