import { readFileSync } from 'node:fs';
import type { CompileRego } from '../../control/api/compile-rego.ts';
import type { CompiledRego, RegoPolicy } from '../../schema/resources/rego.ts';

type Modules = RegoPolicy['modules'];
export type Precompiled = { name: string; modules: Modules; compiled: CompiledRego };

const folder = new URL('./rego/', import.meta.url);
export const precompiledFile = new URL('precompiled.json', folder);

/** The modules of the fixtures, as they are written now. */
export const fixtureModules = (name: string): Modules => [
  { name: `${name}.rego`, text: readFileSync(new URL(`${name}.rego`, folder), 'utf8') },
];

let read: Precompiled[] | undefined;
/** What `node test/support/rego/precompile.ts` wrote. A test of the full suite compiles it again. */
export const precompiled = (): Precompiled[] => {
  read ??= JSON.parse(readFileSync(precompiledFile, 'utf8')) as Precompiled[];
  return read;
};

const find = (modules: Modules): Precompiled | undefined =>
  precompiled().find((each) => JSON.stringify(each.modules) === JSON.stringify(modules));

export const compiledFixture = (name: string): CompiledRego => {
  const found = find(fixtureModules(name));
  if (!found) throw new Error(`${name}.rego has changed: run \`node test/support/rego/precompile.ts\``);
  return found.compiled;
};

/** Stands in for the compiler where there is none: it knows the fixtures, and refuses anything else as a compiler would. */
export const precompiledRego: CompileRego = async ({ modules }) => {
  const found = find(modules);
  if (found) return { ok: true, compiled: found.compiled };
  return { ok: false, issues: [{ ...(modules[0] ? { module: modules[0].name } : {}), line: 1, message: 'not among the fixtures' }] };
};
