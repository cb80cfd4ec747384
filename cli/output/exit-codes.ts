/** What the exit code of a command says. They are API. */
export const exitCodes = {
  ok: 0,
  error: 1,
  usage: 2,
  changes: 3,
  denied: 4,
  needsApproval: 5,
  timeout: 6,
  partial: 7,
  interrupted: 130,
} as const;
