import { randomBytes } from 'node:crypto';

/** An opaque id for a decision of the api: a refusal shows it, the audit explains it. */
export const newDecisionId = (): string => `dec_${randomBytes(9).toString('base64url')}`;
