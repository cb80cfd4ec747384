import { writeFileSync } from 'node:fs';
import { findOpa } from '../../../cli/setup/find-opa.mjs';
import { createRegoCompiler } from '../../../control/api/compile-rego.ts';
import { fixtureModules, type Precompiled, precompiledFile } from '../precompiled-rego.ts';

/** Compiles the fixtures anew: `node test/support/rego/precompile.ts`. */
const compile = createRegoCompiler({ findProgram: () => findOpa() });
const all: Precompiled[] = [];
for (const name of ['hostile', 'paths', 'answers']) {
  const modules = fixtureModules(name);
  const compilation = await compile({ modules });
  if (!compilation.ok) throw new Error(`${name}.rego: ${JSON.stringify(compilation.issues)}`);
  all.push({ name, modules, compiled: compilation.compiled });
}
writeFileSync(precompiledFile, `${JSON.stringify(all, undefined, 2)}\n`);
