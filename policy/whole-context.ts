import type { Context } from '@cedar-policy/cedar-wasm/nodejs';
import type { FlowLabel } from '../schema/flow-label.ts';
import { withApproval } from './approval-rules.ts';
import { entityUid } from './entities.ts';

/** Actions that use what a server or a model has: what they may be given depends on what is carried. */
export const usingActions: ReadonlySet<string> = new Set(['callTool', 'getPrompt', 'readResource', 'invokeModel']);

/** Actions whose policies may ask how the caller has logged in. */
export const loginActions: ReadonlySet<string> = new Set([...usingActions, 'exchange']);

/** What a decision's context says of a caller who carries nothing. */
const unlabelled: Context = { flow: { secrecy: 0, tainted: false, sources: [] } };

/** Of whom no login is known, it is longer ago than any policy asks. */
export const noLogin = { age: 1_000_000_000, level: 0 } as const;

/** A context with how the caller has logged in, for actions that may ask for that. */
export const withLogin = (action: string, context: Context): Context =>
  loginActions.has(action) && context.login === undefined ? { ...context, login: noLogin } : context;

/** What a decision's context says of what the caller carries; sources by their servers. */
export const flowContext = ({ secrecy, tainted, sources }: FlowLabel) => ({
  secrecy,
  tainted,
  sources: [...new Set(sources.map(({ from }) => from.split('/', 3).join('/')))].map((server) => ({
    __entity: entityUid('Server', server),
  })),
});

export const withFlow = (action: string, context: Context): Context =>
  usingActions.has(action) && context.flow === undefined ? { ...unlabelled, ...context } : context;

/** A context with all that the vocabulary wants of it: nobody approved, nothing is carried, and no login is known, unless it is said. */
export const wholeContext = (action: string, context: Context): Context =>
  withLogin(action, withFlow(action, withApproval(action, context)));
