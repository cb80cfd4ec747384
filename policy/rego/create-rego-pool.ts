import { hash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { gunzipSync } from 'node:zlib';
import type { CompiledRego } from '../../schema/resources/rego.ts';
import { isDeeper, mostInputBytes, mostInputDepth, type RegoInput } from './rego-input.ts';
import type { RegoVerdict } from './rego-verdict.ts';
import type { RegoReply, RegoRequest } from './rego-worker.ts';

export type RegoQuestion = {
  /** Whose policy it is: one project holds half of the threads at most, so that others are not kept waiting by it. */
  project: string;
  compiled: CompiledRego;
  input: RegoInput;
  timeLimitMs: number;
};
export type RegoPool = ReturnType<typeof createRegoPool>;

type Job = Pick<RegoQuestion, 'project' | 'timeLimitMs'> & {
  digest: string;
  wasm: string;
  input: string;
  settle: (verdict: RegoVerdict) => void;
  giveUp: NodeJS.Timeout;
};
type Thread = { worker: Worker; known: Set<string>; job?: Job; timer?: NodeJS.Timeout };

/** A thread that dies of its memory says so by this code. */
const outOfMemory = 'ERR_WORKER_OUT_OF_MEMORY';
/** For a thread to begin and a module to be compiled, which no policy can make longer. */
const prepareWithinMs = 10_000;
/** Compiled modules that a thread keeps. */
const mostModules = 32;

const unpack = ({ digest, wasm }: Pick<Job, 'digest' | 'wasm'>): Uint8Array | undefined => {
  try {
    const bytes = gunzipSync(Buffer.from(wasm, 'base64'), { maxOutputLength: 16 * 1024 * 1024 });
    return hash('sha256', bytes, 'hex') === digest ? bytes : undefined;
  } catch {
    return undefined;
  }
};

/** Undefined where it is nested deeper than anybody can write out. */
const textOf = (input: RegoInput): string | undefined => {
  try {
    return JSON.stringify(input);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
};

/**
 * Evaluates compiled Rego in threads of its own. An evaluation that takes longer than its limit is ended together with its thread,
 * so whatever a policy does, the process that asks goes on; a new thread stands in. No thread runs before the first question.
 * @param options.threads - how many; each may use 64 MiB beside its own heap
 * @param options.mostWaiting - questions of a project that wait; more are refused as `busy`
 * @param options.waitMs - for so long a question waits for a thread
 */
export const createRegoPool = ({ threads: size = 2, mostWaiting = 256, waitMs = 5_000 } = {}) => {
  const threads: Thread[] = [];
  /** Waiting questions by project; the project that was served last stands last. */
  const waiting = new Map<string, Job[]>();
  const mostOfProject = Math.max(1, Math.floor(size / 2));
  let id = 0;
  let isClosed = false;

  const end = (thread: Thread, verdict: RegoVerdict): void => {
    const { job } = thread;
    clearTimeout(thread.timer);
    delete thread.job;
    job?.settle(verdict);
  };

  /** Takes a thread away, whatever it is doing. */
  const discard = (thread: Thread, verdict: RegoVerdict): void => {
    const index = threads.indexOf(thread);
    if (index >= 0) threads.splice(index, 1);
    void thread.worker.terminate();
    end(thread, verdict);
    dispatch();
  };

  const limit = (thread: Thread, ms: number, detail: string): void => {
    clearTimeout(thread.timer);
    thread.timer = setTimeout(() => discard(thread, { outcome: 'time-limit', detail }), ms);
  };

  const hear = (thread: Thread, reply: RegoReply): void => {
    if (!thread.job) return;
    if ('started' in reply) {
      limit(thread, thread.job.timeLimitMs, `it took longer than ${thread.job.timeLimitMs} ms`);
      return;
    }
    // it may have failed to be compiled, so it is sent again
    if (reply.verdict.outcome === 'module-unusable') thread.known.delete(thread.job.digest);
    end(thread, reply.verdict);
    dispatch();
  };

  const begin = (): Thread => {
    const worker = new Worker(new URL('./rego-worker.ts', import.meta.url), {
      // what runs there is nobody's business but its own
      env: {},
      argv: [],
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16, stackSizeMb: 2 },
    });
    worker.unref();
    const thread: Thread = { worker, known: new Set() };
    worker.on('message', (reply: RegoReply) => hear(thread, reply));
    worker.on('error', (error: Error & { code?: string }) =>
      discard(thread, { outcome: error.code === outOfMemory ? 'memory-limit' : 'evaluation-failed', detail: error.message.slice(0, 300) }),
    );
    threads.push(thread);
    return thread;
  };

  const run = (thread: Thread, job: Job): void => {
    clearTimeout(job.giveUp);
    const { known } = thread;
    const wasm = known.has(job.digest) ? undefined : unpack(job);
    if (!wasm && !known.has(job.digest)) {
      job.settle({ outcome: 'module-unusable', detail: 'its WebAssembly is damaged' });
      return;
    }
    const [oldest] = known;
    const forget = wasm && known.size >= mostModules ? oldest : undefined;
    if (forget !== undefined) known.delete(forget);
    known.add(job.digest);
    thread.job = job;
    id += 1;
    const request: RegoRequest = {
      ...{ id, digest: job.digest, input: job.input },
      ...(wasm ? { wasm } : {}),
      ...(forget === undefined ? {} : { forget }),
    };
    limit(thread, prepareWithinMs, 'it could not be made ready');
    thread.worker.postMessage(request);
  };

  const next = (): Job | undefined => {
    for (const [project, jobs] of waiting) {
      if (threads.filter(({ job }) => job?.project === project).length >= mostOfProject) continue;
      const job = jobs.shift();
      waiting.delete(project);
      if (jobs.length > 0) waiting.set(project, jobs);
      if (job) return job;
    }
    return undefined;
  };

  function dispatch(): void {
    for (;;) {
      const idle = threads.find(({ job }) => job === undefined);
      if (isClosed || (!idle && threads.length >= size)) return;
      const job = next();
      if (!job) return;
      run(idle ?? begin(), job);
    }
  }

  const forget = (job: Job): void => {
    const jobs = waiting.get(job.project)?.filter((other) => other !== job) ?? [];
    if (jobs.length > 0) waiting.set(job.project, jobs);
    else waiting.delete(job.project);
  };

  return {
    /** Answers always, and never throws: whatever goes wrong is a verdict that refuses. */
    evaluate: ({ project, compiled: { digest, wasm }, input, timeLimitMs }: RegoQuestion): Promise<RegoVerdict> => {
      const text = textOf(input);
      if (text === undefined) return Promise.resolve({ outcome: 'input-too-deep', detail: 'it is nested too deeply to be written out' });
      if (text.length > mostInputBytes || Buffer.byteLength(text) > mostInputBytes)
        return Promise.resolve({ outcome: 'input-too-large', detail: `it is larger than ${mostInputBytes / 1024} KiB` });
      if (isDeeper(text, mostInputDepth))
        return Promise.resolve({ outcome: 'input-too-deep', detail: `it has more than ${mostInputDepth} levels` });
      const jobs = waiting.get(project) ?? [];
      if (isClosed || jobs.length >= mostWaiting)
        return Promise.resolve({ outcome: 'busy', detail: 'too many evaluations of this project wait' });
      return new Promise((settle) => {
        const giveUp = setTimeout(() => {
          forget(job);
          settle({ outcome: 'busy', detail: `no thread was free for ${waitMs} ms` });
        }, waitMs);
        const job: Job = { project, digest, wasm, input: text, timeLimitMs, settle, giveUp };
        jobs.push(job);
        waiting.set(project, jobs);
        dispatch();
      });
    },
    /** How many threads there are now. */
    threads: (): number => threads.length,
    close: async (): Promise<void> => {
      isClosed = true;
      const verdict: RegoVerdict = { outcome: 'busy', detail: 'the process is being stopped' };
      for (const job of [...waiting.values()].flat()) {
        clearTimeout(job.giveUp);
        job.settle(verdict);
      }
      waiting.clear();
      const workers = threads.map(({ worker }) => worker);
      for (const thread of [...threads]) discard(thread, verdict);
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
};
