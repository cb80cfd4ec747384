import { adminToken } from './running-gateway.ts';

export type LoadCall = {
  tool: 'look' | 'act';
  operationId: string;
  startedAt: number;
  endedAt: number;
  isAnswered: boolean;
  status: number;
  text: string;
  retryAfter: string | null;
};

/** Calls of a person at a toolset with the tools of the counting server, several at a time until it is told to stop; each is noted. */
export const startLoad = (url: string, { parallel = 6, pauseMs = 0 }: { parallel?: number; pauseMs?: number } = {}) => {
  const calls: LoadCall[] = [];
  let isStopped = false;
  let count = 0;

  const callOnce = async (): Promise<void> => {
    count += 1;
    const tool = count % 2 === 0 ? 'look' : 'act';
    const operationId = `load-${count}`;
    const startedAt = Date.now();
    const note = (call: Pick<LoadCall, 'isAnswered' | 'status' | 'text' | 'retryAfter'>) =>
      calls.push({ tool, operationId, startedAt, endedAt: Date.now(), ...call });
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${adminToken}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'idempotency-key': operationId,
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: count, method: 'tools/call', params: { name: tool, arguments: { path: `/${count}` } } }),
        signal: AbortSignal.timeout(20_000),
      });
      const text = await response.text();
      note({ isAnswered: text.includes(`of ${tool}`), status: response.status, text, retryAfter: response.headers.get('retry-after') });
    } catch (error) {
      note({ isAnswered: false, status: 0, text: String(error), retryAfter: null });
    }
  };
  const loops = Array.from({ length: parallel }, async () => {
    while (!isStopped) {
      await callOnce();
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  });
  return {
    calls,
    stop: async (): Promise<LoadCall[]> => {
      isStopped = true;
      await Promise.all(loops);
      return calls;
    },
  };
};
