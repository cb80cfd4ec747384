import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TargetPort } from '../../reconcile/target-port.ts';

const readAll = async (stream: AsyncIterable<Buffer>): Promise<string> => {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
};

/**
 * Offers a target to other processes, which may die in the middle of a question while the target goes on.
 * @returns `tell`, which tells all who watch that something changed
 */
export const serveTarget = async (port: TargetPort<'kubernetes'>): Promise<{ url: string; tell(): void; close(): Promise<void> }> => {
  const waiting = new Set<() => void>();
  let changes = 0;
  const server = createServer(async (request, response) => {
    const { method, target, operation, context, kept, since } = JSON.parse(await readAll(request));
    if (method === 'changes') {
      const answer = (): void => void response.end(JSON.stringify(changes));
      if (since !== changes) return answer();
      waiting.add(answer);
      return void response.once('close', () => waiting.delete(answer));
    }
    const { signal } = new AbortController();
    const asked = { ...context, holdsFence: async () => true, readState: async () => kept, signal };
    const answer =
      method === 'apply'
        ? await port.apply(target, operation, asked)
        : method === 'dryRun'
          ? await port.dryRun(target, operation, signal)
          : method === 'observe'
            ? await port.observe(target, signal)
            : await port.desired(target, signal);
    response.end(JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tell: () => {
      changes += 1;
      for (const answer of waiting) answer();
      waiting.clear();
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

/** A target that another process has. The fence is asked here, right before the write is sent. */
export const remoteTarget = (url: string): TargetPort<'kubernetes'> => {
  const ask = async <T>(question: object, signal: AbortSignal): Promise<T> =>
    (await (await fetch(url, { method: 'POST', body: JSON.stringify(question), signal })).json()) as T;
  return {
    type: 'kubernetes',
    desired: (target, signal) => ask({ method: 'desired', target }, signal),
    observe: (target, signal) => ask({ method: 'observe', target }, signal),
    dryRun: (target, operation, signal) => ask({ method: 'dryRun', target, operation }, signal),
    watch: (_target, onChange, signal) => {
      const follow = async (): Promise<void> => {
        let since = await ask<number>({ method: 'changes', since: -1 }, signal);
        for (;;) {
          since = await ask<number>({ method: 'changes', since }, signal);
          onChange();
        }
      };
      follow().catch(() => undefined); // whoever closes it ends it
    },
    apply: async (target, operation, { operationId, isRetry, precondition, holdsFence, readState, signal }) => {
      const kept = operation.op === 'restore' ? await readState(operation.stateDigest) : undefined;
      if (!(await holdsFence())) return { kind: 'failed', reason: 'fenced', message: 'a later holder has taken the target' };
      return ask({ method: 'apply', target, operation, context: { operationId, isRetry, precondition }, kept }, signal);
    },
  };
};
