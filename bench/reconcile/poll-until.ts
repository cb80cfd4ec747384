/** Asks again every 20 ms until there is an answer; fails with what was waited for after the deadline. */
export const pollUntil = async <T>(ask: () => Promise<T | undefined> | T | undefined, what: string, deadlineMs = 30_000): Promise<T> => {
  const until = Date.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > until) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
