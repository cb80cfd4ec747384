import { once } from 'node:events';

/**
 * Has a process collect its garbage, and asks what is left, over the inspector of Node.
 * @param port - of the inspector, as in `--inspect=127.0.0.1:PORT`
 * @returns bytes of the heap in use
 */
export const inspectedHeap = async (port: number): Promise<number> => {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as { webSocketDebuggerUrl: string }[];
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '');
  await once(socket, 'open');
  let asked = 0;
  const ask = async (method: string): Promise<{ usedSize?: number }> => {
    asked += 1;
    const id = asked;
    const answered = new Promise<{ usedSize?: number }>((resolve) => {
      socket.addEventListener('message', ({ data }) => {
        const answer = JSON.parse(String(data)) as { id?: number; result?: object };
        if (answer.id === id) resolve(answer.result ?? {});
      });
    });
    socket.send(JSON.stringify({ id, method }));
    return answered;
  };
  try {
    // what the first round lets go of may hold something that only the next one finds
    for (let round = 0; round < 3; round += 1) await ask('HeapProfiler.collectGarbage');
    return (await ask('Runtime.getHeapUsage')).usedSize ?? Number.NaN;
  } finally {
    socket.close();
  }
};
