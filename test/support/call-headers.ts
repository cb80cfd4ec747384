/** Headers of a call by HTTP, as the worker makes it; without an operation id it is a call that nobody named. */
export const callHeaders = (token: string, operationId?: string): Record<string, string> => ({
  authorization: `Bearer ${token}`,
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  ...(operationId ? { 'idempotency-key': operationId } : {}),
});
