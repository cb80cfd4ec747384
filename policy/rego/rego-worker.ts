import { parentPort } from 'node:worker_threads';
import * as opa from '@open-policy-agent/opa-wasm';
import { type RegoResults, type RegoVerdict, readVerdict } from './rego-verdict.ts';

/** The thread that evaluates Rego, one request at a time. It can be ended at any moment, so it holds nothing but compiled modules. */
export type RegoRequest = {
  id: number;
  digest: string;
  /** Missing where the thread was given it before. */
  wasm?: Uint8Array;
  /** A module that is not asked any more. */
  forget?: string;
  input: string;
};
/** `started` is said when a module is compiled, so that the time limit is of the evaluation alone. */
export type RegoReply = { id: number; started: true } | { id: number; verdict: RegoVerdict };

/** Pages of 64 KiB: 64 MiB is all that an evaluation may use. */
const memory = { initial: 16, maximum: 1024 };
/** Functions that the WebAssembly asks its host for; everything else has to be inside it. */
const hostFunctions: ReadonlySet<string> = new Set(['sprintf']);

/** The package says that it exports its functions by name, and exports one object. */
const { loadPolicySync } = (opa as unknown as { default: typeof opa }).default;

/** Part of every engine, and not of the compiler's library for Node. */
const { Module } = (globalThis as unknown as { WebAssembly: { Module: new (bytes: Uint8Array) => WebAssembly.Module } }).WebAssembly;
const modules = new Map<string, WebAssembly.Module>();

const compiledOf = ({ digest, wasm }: RegoRequest): WebAssembly.Module => {
  const known = modules.get(digest);
  if (known) return known;
  if (!wasm) throw new Error('the module is not there');
  const compiled = new Module(Uint8Array.from(wasm));
  modules.set(digest, compiled);
  return compiled;
};

/** opa-wasm throws texts, objects with a message, and what the engine throws. */
const messageOf = (thrown: unknown): string => {
  if (typeof thrown === 'string') return thrown;
  const { message } = (thrown ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message : 'it failed';
};

const failureOf = (thrown: unknown): RegoVerdict => {
  const detail = messageOf(thrown).slice(0, 300);
  const isMemory =
    /opa_malloc|could not allocate memory|Maximum memory size exceeded|memory\.grow/i.test(detail) || /call stack/i.test(detail);
  return { outcome: isMemory ? 'memory-limit' : 'evaluation-failed', detail };
};

/** What of a loaded policy is looked at beside its own methods. */
type Loaded = ReturnType<typeof loadPolicySync> & {
  wasmInstance: { exports: { builtins(): number; opa_json_dump(address: number): number } };
  mem: { buffer: ArrayBuffer };
};

/** A fresh instance for each question: nothing of one is left for the next, and one that failed is not asked again. */
const load = (compiled: WebAssembly.Module): Loaded => loadPolicySync(compiled, memory) as Loaded;

const foreignFunctions = ({ wasmInstance, mem }: Loaded): string[] => {
  const from = wasmInstance.exports.opa_json_dump(wasmInstance.exports.builtins());
  const bytes = new Uint8Array(mem.buffer);
  const names = Object.keys(JSON.parse(new TextDecoder().decode(bytes.subarray(from, bytes.indexOf(0, from)))));
  return names.filter((name) => !hostFunctions.has(name));
};

const evaluate = (request: RegoRequest, onStarted: () => void): RegoVerdict => {
  let policy: Loaded;
  try {
    policy = load(compiledOf(request));
    const foreign = foreignFunctions(policy);
    if (foreign.length > 0) return { outcome: 'module-unusable', detail: `it asks its host for ${foreign.join(', ')}` };
  } catch (error) {
    return { outcome: 'module-unusable', detail: messageOf(error).slice(0, 300) };
  }
  onStarted();
  try {
    const input = new TextEncoder().encode(request.input).buffer as ArrayBuffer;
    const results: RegoResults = {};
    for (const rule of ['deny', 'allow'] as const) {
      if (!Object.hasOwn(policy.entrypoints, `quarterdeck/${rule}`)) continue;
      results[rule] = policy.evaluate(input, `quarterdeck/${rule}`);
    }
    return readVerdict(results);
  } catch (error) {
    return failureOf(error);
  }
};

parentPort?.on('message', (request: RegoRequest) => {
  const { id, forget } = request;
  if (forget !== undefined) modules.delete(forget);
  const reply = (message: RegoReply): void => parentPort?.postMessage(message);
  reply({ id, verdict: evaluate(request, () => reply({ id, started: true })) });
});
