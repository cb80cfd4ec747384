import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bindingTemplates, platformPolicies } from '../../policy/platform-policies.ts';

/**
 * Takes away each rule of the platform in turn, runs the tests of the policies on what is left, and lists which of them go red.
 * `node test/support/mutate-guards.ts [RULE…]`; exit code 1 where a rule can be taken away unseen.
 */
const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);

type Report = { testResults: { name: string; assertionResults: { title: string; status: string }[] }[] };

/** Which tests are asked, the quickest first; the next ones are asked where those have seen nothing. */
const stages = ['platform-golden', 'engine', 'reference-gate'];

/** Which tests of a file fail without a rule: the first one. */
const failingWithout = async (rule: string, folder: string, tests: string): Promise<string[]> => {
  const output = join(folder, 'report.json');
  rmSync(output, { force: true });
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const args = [
    vitest,
    'run',
    `test/policy/${tests}.test.ts`,
    '--config',
    'test/support/mutation.config.ts',
    '--reporter=json',
    `--outputFile=${output}`,
  ];
  // a red run is what is hoped for; whether it ran at all the report says
  await run(process.execPath, args, { cwd: root, env: { ...process.env, WITHOUT_RULE: rule, GATE_REQUESTS: '2000' } }).catch(
    () => undefined,
  );
  const { testResults } = JSON.parse(readFileSync(output, 'utf8')) as Report;
  if (testResults.length < 1) throw new Error(`the tests did not run without ${rule}`);
  // one of each file: the golden decisions of the platform all turn red together
  return testResults.flatMap(({ name, assertionResults }) => {
    const file = name.slice(name.lastIndexOf('/') + 1);
    return assertionResults
      .filter(({ status }) => status === 'failed')
      .slice(0, 1)
      .map(({ title }) => `${file}: ${title}`);
  });
};

const rules = [...Object.keys(platformPolicies), ...Object.keys(bindingTemplates).map((list) => `template/${list}`)];
const wanted = process.argv.length > 2 ? process.argv.slice(2) : rules;
const unknown = wanted.filter((rule) => !rules.includes(rule));
if (unknown.length > 0) throw new Error(`there is no rule ${unknown.join(', ')}; there are ${rules.join(', ')}`);

const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-mutations-'));
const unseen: string[] = [];
for (const rule of wanted) {
  let failing: string[] = [];
  for (const tests of stages) if (failing.length === 0) failing = await failingWithout(rule, folder, tests);
  if (failing.length === 0) unseen.push(rule);
  console.log(`${failing.length === 0 ? 'UNSEEN' : 'red   '} ${rule}: ${failing.join(' | ') || '-'}`);
}
rmSync(folder, { recursive: true, force: true });
console.log(`${wanted.length - unseen.length} of ${wanted.length} rules cannot be taken away unseen`);
if (unseen.length > 0) process.exitCode = 1;
