import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findOpa } from '../../../cli/setup/find-opa.mjs';
import { type CompileRego, createRegoCompiler } from '../../../control/api/compile-rego.ts';
import { createRegoPool } from '../../../policy/rego/create-rego-pool.ts';
import type { RegoInput } from '../../../policy/rego/rego-input.ts';
import type { CompiledRego } from '../../../schema/resources/rego.ts';
import { loadExample, ofKind } from '../../examples/load-example.ts';
import { compiledFixture, fixtureModules } from '../../support/precompiled-rego.ts';

const opa = findOpa() ?? '';
const compile: CompileRego = createRegoCompiler({ findProgram: () => findOpa() });
const pool = createRegoPool();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-oracle-'));
});
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true, force: true });
});

const compiledOf = async (modules: { name: string; text: string }[]): Promise<CompiledRego> => {
  const compilation = await compile({ modules });
  if (!compilation.ok) throw new Error(JSON.stringify(compilation.issues));
  return compilation.compiled;
};
const compileText = (text: string) => compile({ modules: [{ name: 'policy.rego', text: `package quarterdeck\n\n${text}\n` }] });
const inputOf = (argumentsOfCall: object): RegoInput => ({
  ...{ version: 1, kind: 'toolCall', inputResponses: {}, atSeconds: 1, org: 'default', project: 'default' },
  principal: { kind: 'person', id: 'default/ada', person: 'ada', role: '', fleet: '', run: '' },
  ...{ toolset: 'database', server: 'database', tool: 'query' },
  hints: { readOnly: true, destructive: false, idempotent: false, openWorld: false },
  arguments: argumentsOfCall,
  facts: {},
});
const ask = (compiled: CompiledRego, argumentsOfCall: object) =>
  pool.evaluate({ project: 'a/b', compiled, input: inputOf(argumentsOfCall), timeLimitMs: 500 });

/** The compiler's own interpreter, which shares no code with the WebAssembly, on many inputs at once. */
const interpret = (modules: { name: string; text: string }[], all: object[]): { deny?: unknown[]; allow?: unknown }[] => {
  for (const { name, text } of modules) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, 'inputs.json'), JSON.stringify({ inputs: all.map(inputOf) }));
  const query =
    'results := [{"deny": deny, "allow": allow} | some each in data.inputs; deny := data.quarterdeck.deny with input as each; allow := object.get(object.get(data, "quarterdeck", {}), "allow", null) with input as each]';
  const files = modules.flatMap(({ name }) => ['--data', join(folder, name)]);
  const output = execFileSync(opa, ['eval', '--format', 'json', ...files, '--data', join(folder, 'inputs.json'), query], {
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(output.toString()).result[0].bindings.results;
};

describe('the compiler', () => {
  test.each(['hostile', 'paths', 'answers'])('makes of the fixture %s what is committed, byte for byte', async (name) => {
    const compiled = await compiledOf(fixtureModules(name));
    expect(compiled.digest).toBe(compiledFixture(name).digest);
    expect(compiled.compiler).toBe(compiledFixture(name).compiler);
  });

  test.each([
    ['http.send({"url": "http://a.test", "method": "get"}).status_code == 200', 'http.send'],
    ['time.now_ns() > 5', 'time.now_ns'],
    ['rand.intn("seed", 5) == 1', 'rand.intn'],
    ['uuid.rfc4122("a") == "b"', 'uuid.rfc4122'],
    ['opa.runtime().env.HOME == "/root"', 'opa.runtime'],
    ['net.lookup_ip_addr("a.test") == set()', 'net.lookup_ip_addr'],
    ['print(input.tool)', 'print'],
    ['regex.split(`a`, input.tool)[0] == "b"', 'regex.split'],
  ])('refuses what reaches outside, or answers otherwise each time: %s', async (body, name) => {
    const compilation = await compileText(`deny contains "x" if { ${body} }`);
    expect(compilation).toMatchObject({ ok: false, issues: [{ module: 'policy.rego', line: 3 }] });
    expect(JSON.stringify(compilation)).toContain(name);
  });

  test.each([
    ['deny contains "x" if input.argument.path == "a"', 'undefined ref: input.argument.path'],
    ['deny contains "x" if { unused := input.tool }', 'unused'],
    ['deny contains "x" if {', 'unexpected'],
    ['other contains "x" if input.tool == "a"', 'neither `deny` nor `allow`'],
  ])('refuses what is unsound: %s', async (text, message) => {
    const compilation = await compileText(text);
    expect(compilation.ok).toBe(false);
    expect(JSON.stringify(compilation)).toContain(message);
  });

  test.each([
    ['a number of a text', 'deny contains "x" if to_number(input.arguments.n) > 5', 'to_number', 3],
    ['a value by its name', 'deny contains "x" if {\n\tn := to_number(input.arguments.n)\n\tn > 5\n}', 'to_number', 4],
    ['a helper', 'deny contains "x" if limit > 5\n\nlimit := 10 / input.arguments.n', 'div', 5],
    ['a function of its own', 'deny contains "x" if f(input.arguments.t)\n\nf(t) if json.unmarshal(t).big', 'json.unmarshal', 5],
    ['a pattern of the caller', 'deny contains "x" if regex.match(input.arguments.p, "a")', 'regex.match', 3],
    [
      'a rule by its whole name',
      'deny contains "x" if data.quarterdeck.limit > 5\n\nlimit := to_number(input.arguments.n)',
      'to_number',
      5,
    ],
    ['a list', 'deny contains "x" if count([n | some t in input.arguments.l; n := to_number(t); n > 5]) > 0', 'to_number', 3],
    ['not of a not', 'deny contains "x" if not small\n\nsmall if not json.unmarshal(input.arguments.t)', 'json.unmarshal', 5],
    [
      'an operand of what is behind not, which is worked out before it',
      'deny contains "x" if not to_number(input.arguments.n) <= 5',
      'to_number',
      3,
    ],
    ['a reason', 'deny contains base64.decode(input.arguments.t) if input.tool == "query"', 'base64.decode', 3],
  ])('refuses what may fail inside deny, with its line: %s', async (_what, text, name, line) => {
    const compilation = await compileText(text);
    expect(compilation).toMatchObject({
      ok: false,
      issues: [{ module: 'policy.rego', line, message: expect.stringContaining(`\`${name}\` may fail`) }],
    });
  });

  test.each([
    ['allow', 'allow if to_number(input.arguments.n) <= 5'],
    ['behind not', 'deny contains "x" if not json.unmarshal(input.arguments.t)'],
    ['behind not, in a helper', 'deny contains "x" if not small\n\nsmall if to_number(input.arguments.n) <= 5'],
    ['of what the policy says', 'deny contains "x" if { regex.match(`^a`, input.arguments.t); input.arguments.n / 2 > 5 }'],
    [
      'a place of the input that is called like a rule',
      'deny contains "x" if input.arguments.limit > 5\n\nallow if limit <= 5\n\nlimit := to_number(input.arguments.n)',
    ],
  ])('takes what may fail where that refuses: %s', async (_what, text) => {
    expect(await compileText(text)).toMatchObject({ ok: true });
  });

  test('what may fail refuses in allow and behind not, in the WebAssembly too', async () => {
    const small = 'small if to_number(input.arguments.n) <= 5';
    for (const text of [
      'allow if to_number(input.arguments.n) <= 5',
      `deny contains "x" if not small\n\n${small}`,
      `deny contains "x" if not data.quarterdeck.small == true\n\n${small}`,
    ]) {
      const compilation = await compileText(text);
      if (!compilation.ok) throw new Error(JSON.stringify(compilation.issues));
      expect((await ask(compilation.compiled, { n: '3' })).outcome).toBe('pass');
      for (const n of ['9', 'many', []]) expect((await ask(compilation.compiled, { n })).outcome, `${text} ${n}`).not.toBe('pass');
    }
  });

  test('takes a policy with one of the two rules, and reads nothing of this machine', async () => {
    expect(await compileText('allow if input.tool == "query"')).toMatchObject({ ok: true });
    expect(await compileText('deny contains "x" if input.tool == "query"')).toMatchObject({ ok: true });
    const foreign = await compileText(
      '# METADATA\n# schemas:\n#   - input: schema["../../etc/passwd"]\ndeny contains "x" if input.tool == "query"',
    );
    expect(JSON.stringify(foreign)).not.toContain('root:');
  });
});

describe('WebAssembly and the interpreter of the compiler decide the same', () => {
  const words = fc.constantFrom(
    'select',
    'SELECT',
    'drop',
    'Drop table',
    'explain',
    ';',
    ' ; ',
    '',
    'ünïcode',
    '/etc/',
    '/home/',
    'a--b',
    '\n',
    '"',
  );
  const text = fc.oneof(
    fc.array(words, { maxLength: 6 }).map((parts) => parts.join(' ')),
    fc.string({ maxLength: 20 }),
  );
  const value = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.array(text, { maxLength: 3 }));
  const argumentsOfCall = fc.record(
    { path: value, sql: value, mode: fc.oneof(text, fc.constantFrom('number', 'text', 'false', 'undefined', 'walk')) },
    { requiredKeys: [] },
  );

  const compare = async (modules: { name: string; text: string }[], runs: number): Promise<Record<string, number>> => {
    const compiled = await compiledOf(modules);
    const all = fc.sample(argumentsOfCall, { numRuns: runs, seed: 20261130 });
    const expected = interpret(modules, all);
    expect(expected).toHaveLength(all.length);
    const counted: Record<string, number> = {};
    for (const [index, given] of all.entries()) {
      const { outcome } = await ask(compiled, given);
      const { deny = [], allow } = expected[index] ?? {};
      const shouldPass = deny.length === 0 && allow === true;
      expect({ given, pass: outcome === 'pass' }).toEqual({ given, pass: shouldPass });
      counted[outcome] = (counted[outcome] ?? 0) + 1;
    }
    return counted;
  };

  test('on the fixtures', async () => {
    const counted = await compare(fixtureModules('paths'), 1_000);
    expect(counted.pass).toBeGreaterThan(100);
    expect(counted.deny).toBeGreaterThan(20);
    expect(Object.keys(await compare(fixtureModules('hostile'), 500)).sort()).toEqual(
      expect.arrayContaining(['deny', 'pass', 'result-unusable', 'undefined']),
    );
  });

  test('on the example, which refuses arguments of another type and none', async () => {
    const [set] = ofKind(loadExample('statements'), 'PolicySet');
    const modules = set?.spec.rego?.modules ?? [];
    const counted = await compare(modules, 1_000);
    expect(counted.pass).toBeGreaterThan(20);
    expect(counted.undefined).toBeGreaterThan(100);
    const compiled = await compiledOf(modules);
    expect(await ask(compiled, { sql: 'select 1; select 2' })).toMatchObject({ outcome: 'deny', denials: [{ rule: 'one-statement' }] });
    expect(await ask(compiled, { sql: 'select 1;' })).toEqual({ outcome: 'pass' });
    expect(await ask(compiled, { sql: 7 })).toMatchObject({ outcome: 'undefined' });
  });
});
