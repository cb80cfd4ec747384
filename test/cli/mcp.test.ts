import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ask, askPerson, readField } from '../../cli/mcp/ask-person.ts';
import { readArguments } from '../../cli/mcp/read-arguments.ts';
import { startLegacyFixture } from '../support/conformance/legacy-server.ts';
import { type RawMcpServer, startRawMcpServer } from '../support/raw-mcp-server.ts';
import { type CliOptions, runCli, startCli } from '../support/run-cli.ts';

let fixture: Awaited<ReturnType<typeof startLegacyFixture>>;
let raw: RawMcpServer;
beforeAll(async () => {
  fixture = await startLegacyFixture();
  raw = await startRawMcpServer();
});
afterAll(async () => {
  await fixture.close();
  await raw.close();
});

const at = (url: string): CliOptions => ({ env: { QUARTERDECK_URL: new URL(url).origin, QUARTERDECK_TOKEN: 'token' } });
const mcp = (...args: string[]) => runCli(['mcp', ...args], at(fixture.url));
const refusing = async (error: object) => {
  raw.answers['tools/call'] = () => ({ error });
  return runCli(['mcp', 'call', 'act'], at(raw.url));
};

test('lists tools, prompts and resources', async () => {
  const { code, stdout } = await mcp('ls');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^NAME +DESCRIPTION\n/);
  expect(stdout).toMatch(/^test_simple_text +Answers with a text$/m);
  expect((await mcp('ls', '--prompts', '-o', 'name')).stdout).toContain('test_simple_prompt\n');
  expect((await mcp('ls', '--resources', '-o', 'name')).stdout).toContain('test://template/{id}/data\n');
  expect(JSON.parse((await mcp('ls', '-o', 'json')).stdout).tools[0].inputSchema).toBeDefined();
});

test('calls a tool with arguments as a person writes them, and prints its result on stdout, its progress on stderr', async () => {
  expect(await mcp('call', 'greet', 'name=Bob Ross')).toEqual({ code: 0, stdout: 'Hello, Bob Ross!\n', stderr: '' });
  expect((await mcp('call', 'greet', '--json', '{"name":"Eve"}')).stdout).toBe('Hello, Eve!\n');
  const piped = await runCli(['mcp', 'call', 'greet', '--json', '-'], { ...at(fixture.url), input: '{"name":"Pipe"}' });
  expect(piped.stdout).toBe('Hello, Pipe!\n');
  expect((await mcp('call', 'test_tool_with_progress')).stderr).toContain('[50/100] Completed step 50 of 100\n');
  expect((await mcp('call', 'test_image_content')).stdout).toMatch(/^\[image image\/png, \d+ bytes; -o json has them\]\n$/);
  expect(JSON.parse((await mcp('call', 'greet', 'name=Eve', '-o', 'json')).stdout).content[0].text).toBe('Hello, Eve!');
});

test('declines what a server asks when nobody is at a terminal', async () => {
  const { stdout, stderr } = await mcp('call', 'test_elicitation', 'message=Who?');
  expect(stderr).toContain('The server asks, and nobody is at a terminal; declined');
  expect(stdout).toContain('decline');
});

test('reads a resource, and gets a prompt', async () => {
  expect((await mcp('read', 'test://static-text')).stdout).toContain('static text');
  expect((await mcp('read', 'test://nowhere')).code).toBe(1);
  const { stdout } = await mcp('prompt', 'test_prompt_with_arguments', 'arg1=one', 'arg2=two');
  expect(stdout).toContain("user: Prompt with arguments: arg1='one', arg2='two'");
});

test('ends with 1 when the tool failed or is not there, 4 when policy refuses, 5 when a person is needed, 6 when the time is over', async () => {
  const failed = await mcp('call', 'test_error_handling');
  expect(failed).toMatchObject({ code: 1, stdout: '', stderr: 'This tool intentionally returns an error for testing\n' });
  expect(await mcp('call', 'nothing')).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no tool nothing here') });
  expect(await refusing({ code: -32010, message: 'No.', data: { code: 'argument_refused' } })).toMatchObject({
    code: 4,
    stderr: 'Error: No.\n',
  });
  expect((await refusing({ code: -32010, message: 'Wait.', data: { code: 'needs_person' } })).code).toBe(5);
  expect((await refusing({ code: -32602, message: 'Unknown tool' })).stderr).toContain('Error: Unknown tool. Next: quarterdeck mcp ls');
  expect((await mcp('call', 'slow_compute', 'seconds=20', '--timeout', '500ms')).code).toBe(6);
});

test('says what is wrong: the command line, the token, the platform', async () => {
  expect((await mcp('call', 'greet', 'Bob')).code).toBe(2);
  expect((await mcp('call', 'slow_compute', 'seconds=many')).stderr).toContain('seconds=many: the tool wants "number" there');
  expect((await mcp('call', 'greet', '--json', 'x')).code).toBe(2);
  expect((await mcp('ls', 'Not A Name')).code).toBe(2);
  const away = await runCli(['mcp', 'ls'], at('http://127.0.0.1:9/mcp'));
  expect(away).toMatchObject({ code: 1, stderr: expect.stringContaining('No platform runs on http://127.0.0.1:9') });
});

test('Ctrl-C cancels the call and ends with 130', async () => {
  const call = startCli(['mcp', 'call', 'test_tool_with_progress', '--toolset', 'x'], at(raw.url));
  raw.answers['tools/list'] = () => ({ result: { tools: [{ name: 'test_tool_with_progress', inputSchema: { type: 'object' } }] } });
  raw.answers['tools/call'] = () => {
    call.child.kill('SIGINT');
    return new Promise(() => undefined);
  };
  expect((await call.ended).code).toBe(130);
});

describe('arguments', () => {
  const schema = {
    properties: { n: { type: 'integer' }, on: { type: 'boolean' }, list: { type: 'array' }, any: {}, either: { type: ['null', 'string'] } },
  };
  test('are text where the schema wants text, and JSON everywhere else', () =>
    expect(readArguments(['n=3', 'on=true', 'list=[1]', 'any=3', 'new=a=b', 'either=x'], schema)).toEqual({
      n: 3,
      on: true,
      list: [1],
      any: '3',
      new: 'a=b',
      either: 'x',
    }));
});

describe('what a server asks of a person', () => {
  const form = {
    message: 'Who?',
    requestedSchema: {
      properties: {
        name: { type: 'string', minLength: 2 },
        age: { type: 'integer', minimum: 18 },
        colour: { type: 'string', oneOf: [{ const: '#f00', title: 'Red' }] },
        ok: { type: 'boolean', default: true },
        note: { type: 'string' },
        tags: { type: 'array', items: { enum: ['a', 'b'] } },
      },
      required: ['name', 'age'],
    },
  };
  const answering = (...answers: (string | undefined)[]) => {
    const questions: string[] = [];
    const ask: Ask = async (question) => {
      questions.push(question);
      return answers.shift();
    };
    return { ask, questions };
  };

  test('is asked field by field, again where the answer does not fit', async () => {
    const { ask, questions } = answering('A', 'Al', 'ten', '17', '18', 'Red', '', '', 'a, b', 'y');
    const told: string[] = [];
    expect(await askPerson(form, ask, (text) => told.push(text))).toEqual({
      action: 'accept',
      content: { name: 'Al', age: 18, colour: '#f00', ok: true, tags: ['a', 'b'] },
    });
    expect(told).toEqual(['Who?', 'Expected at least 2 characters.', 'Expected a number.', 'Expected at least 18.']);
    expect(questions).toContain('colour (Red; optional): ');
    expect(questions).toContain('ok (yes/no; default true): ');
  });

  test('is declined with no at the end, and cancelled at the end of input', async () => {
    const small = { message: 'x', requestedSchema: { properties: { a: { type: 'string' } } } };
    expect(await askPerson(small, answering('1', 'n').ask, () => undefined)).toEqual({ action: 'decline' });
    expect(await askPerson(small, answering(undefined).ask, () => undefined)).toEqual({ action: 'cancel' });
    expect(readField({ type: 'string', enum: ['a'] }, 'z', true)).toMatchObject({ ok: false });
  });

  test('a page to visit is shown, not opened', async () => {
    const told: string[] = [];
    const page = { mode: 'url', message: 'Sign in', url: 'https://example.com/\u001b[2Jx' };
    expect(await askPerson(page, answering('y').ask, (text) => told.push(text))).toEqual({ action: 'accept' });
    expect(told[1]).toBe('It wants you to visit https://example.com/\\u001b[2Jx');
  });
});
