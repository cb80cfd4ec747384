import type { Provider } from 'oidc-provider';

/** What stands before or beside the library's own routes. */
export type Middleware = Parameters<Provider['use']>[0];
export type Context = Parameters<Middleware>[0];
/** One login or consent under way. */
export type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;
