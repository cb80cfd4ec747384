import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { regoFunctions } from '../../policy/rego/rego-functions.ts';
import { regoInputSchema } from '../../policy/rego/rego-input.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { CompiledRego, RegoPolicy } from '../../schema/resources/rego.ts';
import { findFailingCalls } from './find-failing-calls.ts';
import { readTarEntry } from './read-tar-entry.ts';

/** What is wrong with a module; lines count from 1 in its text. */
export type RegoIssue = { module?: string; line?: number; message: string };
export type RegoCompilation = { ok: true; compiled: CompiledRego } | { ok: false; issues: RegoIssue[] };
/** @throws {PlatformError} `compiler_missing` */
export type CompileRego = (rego: Pick<RegoPolicy, 'modules'>) => Promise<RegoCompilation>;

const withinMs = 30_000;
const mostOutput = 4 * 1024 * 1024;
const mostKept = 64;
const mostIssues = 20;
const rules = ['quarterdeck/deny', 'quarterdeck/allow'];
const noRule = /entrypoint "(quarterdeck\/\w+)" does not refer to a rule/;

type Ran = { code: number; out: string; error: string };

/** Runs the compiler with nothing of our environment; it reads the files it is given and no others. */
const run = (program: string, folder: string, args: readonly string[]): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const environment = { HOME: folder, TMPDIR: folder, GOMEMLIMIT: '512MiB', GOMAXPROCS: '2' };
    execFile(
      program,
      args,
      { cwd: folder, env: environment, timeout: withinMs, maxBuffer: mostOutput, killSignal: 'SIGKILL' },
      (error, out, said) => {
        if (error && typeof error.code !== 'number')
          return reject(
            new PlatformError(
              'compiler_missing',
              error.killed
                ? `The Rego compiler ${program} did not end within ${withinMs / 1000} s, so nothing was compiled.`
                : `The Rego compiler ${program} cannot be run: ${error.message.split('\n')[0]}.`,
              { cause: error },
            ),
          );
        resolve({ code: error ? Number(error.code) : 0, out, error: said });
      },
    );
  });

const issuesOf = ({ out, error }: Ran): RegoIssue[] => {
  for (const text of [error, out])
    try {
      const { errors } = JSON.parse(text) as { errors: { message: string; location?: { file?: string; row?: number } }[] };
      return errors.slice(0, mostIssues).map(({ message, location }) => ({
        message,
        ...(location?.file ? { module: location.file.replace(/^.*\//, '') } : {}),
        ...(location?.row ? { line: location.row } : {}),
      }));
    } catch {
      // said as plain text
    }
  return [
    {
      message:
        (error || out)
          .trim()
          .replace(/^error: /, '')
          .slice(0, 500) || 'the compiler refuses it',
    },
  ];
};

/** The functions of a compiler without those that reach outside, or answer otherwise each time. */
const capabilities = async (program: string, folder: string): Promise<string> => {
  const { out } = await run(program, folder, ['capabilities', '--current']);
  const all = JSON.parse(out) as { builtins: { name: string }[] };
  return JSON.stringify({ ...all, builtins: all.builtins.filter(({ name }) => regoFunctions.has(name)), allow_net: [] });
};

const versionOf = async (program: string, folder: string): Promise<string> => {
  const { out } = await run(program, folder, ['version']);
  return `opa ${/^Version: (\S+)/m.exec(out)?.[1] ?? 'unknown'}`;
};

/** Builds with those of the two rules that the modules have. */
const build = async (program: string, folder: string): Promise<Ran & { rules: string[] }> => {
  let wanted = rules;
  for (;;) {
    const entrypoints = wanted.flatMap((rule) => ['-e', rule]);
    const built = await run(program, folder, [
      'build',
      '-t',
      'wasm',
      '--capabilities',
      'capabilities.json',
      ...entrypoints,
      '-o',
      'bundle.tar.gz',
      'policy',
    ]);
    const missing = noRule.exec(`${built.error}${built.out}`)?.[1];
    if (built.code === 0 || missing === undefined || !wanted.includes(missing)) return { ...built, rules: wanted };
    wanted = wanted.filter((rule) => rule !== missing);
    if (wanted.length === 0)
      return {
        code: 1,
        out: '',
        error: 'neither `deny` nor `allow` is a rule of `package quarterdeck`, so it would decide nothing',
        rules: [],
      };
  }
};

/** Says of each call that may fail inside `deny` why it is not taken, and what to write. */
const failingIn = async (program: string, folder: string, modules: RegoPolicy['modules']): Promise<RegoIssue[]> => {
  const trees = [];
  for (const { name } of modules) {
    const { out } = await run(program, folder, ['parse', '--format', 'json', '--json-include', 'locations', join('policy', name)]);
    trees.push({ name, tree: JSON.parse(out) as unknown });
  }
  return findFailingCalls(trees)
    .slice(0, mostIssues)
    .map(({ function: name, ...place }) => ({
      ...place,
      message: `\`${name}\` may fail here, and a \`deny\` in which something fails says nothing, so the call would pass: ask it in \`allow\`, or in a rule of its own behind \`not\`, where that refuses`,
    }));
};

const compile = async (program: string, folder: string, { modules }: Pick<RegoPolicy, 'modules'>): Promise<RegoCompilation> => {
  await mkdir(join(folder, 'policy'));
  for (const { name, text } of modules) await writeFile(join(folder, 'policy', name), text);
  await writeFile(join(folder, 'capabilities.json'), await capabilities(program, folder));
  await writeFile(join(folder, 'input.json'), JSON.stringify(regoInputSchema));
  const checked = await run(program, folder, [
    'check',
    '--strict',
    '--format',
    'json',
    '--schema',
    'input.json',
    '--capabilities',
    'capabilities.json',
    'policy',
  ]);
  if (checked.code !== 0) return { ok: false, issues: issuesOf(checked) };
  const failing = await failingIn(program, folder, modules);
  if (failing.length > 0) return { ok: false, issues: failing };
  const built = await build(program, folder);
  if (built.code !== 0) return { ok: false, issues: issuesOf(built) };
  const bytes = readTarEntry(gunzipSync(await readFile(join(folder, 'bundle.tar.gz'))), '/policy.wasm');
  if (!bytes) throw new PlatformError('internal', 'The Rego compiler wrote no WebAssembly.');
  const compiled = {
    digest: hash('sha256', bytes, 'hex'),
    compiler: await versionOf(program, folder),
    wasm: gzipSync(bytes, { level: 9 }).toString('base64'),
  };
  return { ok: true, compiled };
};

/**
 * Compiles Rego to WebAssembly with the program `opa`, strictly: unused and unsafe things, places that no input has, and functions that
 * reach outside or answer otherwise each time are refused, with the module and the line.
 * @param findProgram - absolute path, or undefined where this machine has none
 */
export const createRegoCompiler = ({ findProgram }: { findProgram: () => string | undefined }): CompileRego => {
  /** By program and text: a publication asks for the same several times. */
  const kept = new Map<string, Promise<RegoCompilation>>();
  return (rego) => {
    const program = findProgram();
    if (program === undefined)
      return Promise.reject(
        new PlatformError(
          'compiler_missing',
          'This policy has Rego, and the machine of the api has no program `opa` to compile it: put one on the path, name it in QUARTERDECK_OPA, or have it built with `node deploy/setup/prepare.mjs --for full`, which takes Go.',
        ),
      );
    const key = hash('sha256', JSON.stringify([program, rego.modules]));
    const known = kept.get(key);
    if (known) return known;
    const compiling = (async () => {
      const folder = await mkdtemp(join(tmpdir(), 'quarterdeck-rego-'));
      try {
        return await compile(program, folder, rego);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    })();
    const [oldest] = kept.keys();
    if (kept.size >= mostKept && oldest !== undefined) kept.delete(oldest);
    kept.set(key, compiling);
    compiling.catch(() => kept.delete(key));
    return compiling;
  };
};
