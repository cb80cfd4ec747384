import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse as parseJson } from 'jsonc-parser';
import { parse as parseToml } from 'smol-toml';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { clientTable, type Route, type Scope } from '../../cli/connect/client-table.ts';
import { type Connection, planConnect } from '../../cli/connect/connect-client.ts';
import { connectionRecordsAt } from '../../cli/connect/connection-records.ts';
import { planDisconnect } from '../../cli/connect/disconnect-client.ts';
import { runCli } from '../support/run-cli.ts';

const secret = 'qd-secret-token-of-this-test';
let root: string;
let home: string;
let project: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quarterdeck-connect-'));
  home = join(root, 'home');
  project = join(root, 'project');
  for (const folder of [home, project]) mkdirSync(folder);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** The command in a process of its own. */
const run = (args: string[], env: Record<string, string> = {}) =>
  runCli(args, {
    cwd: project,
    env: { HOME: home, QUARTERDECK_DATA: join(root, 'data'), QUARTERDECK_URL: 'http://127.0.0.1:7420', QUARTERDECK_TOKEN: secret, ...env },
  });
/** What the commands do, without a process for each. */
const http: Route = { kind: 'http', url: 'http://127.0.0.1:7420/mcp', tokenVariable: 'QUARTERDECK_TOKEN' };
const connectionOf = (name: string, { scope = 'user' as Scope, server = 'quarterdeck', environment = {} } = {}): Connection => {
  const client = clientTable.find((each) => each.name === name);
  if (!client) throw new Error(`no client ${name}`);
  const places = { home, project, platform: 'linux' as const, environment };
  return { client, scope, name: server, places, records: connectionRecordsAt(join(root, 'data')) };
};
type Options = Parameters<typeof connectionOf>[1];
const connect = async (name: string, options?: Options, route: Route = http) => {
  const plan = await planConnect(connectionOf(name, options), route);
  await plan.write();
  return plan.what;
};
const disconnect = async (name: string, options?: Options) => {
  const plan = await planDisconnect(connectionOf(name, options));
  await plan.write();
  return plan.what;
};
const write = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};
const read = (path: string): string => readFileSync(path, 'utf8');
const jsonWith = (container: string) => `{
  // Written by hand. Do not sort.
  "theme": "dark", /* the best */
  "${container}": {
    "files": { "command": "npx", "args": ["-y", "server-filesystem", "~/work"] }, // mine
    "linear": {
      "url": "https://mcp.linear.app/mcp" // remote
    } // the last
  },
  "other": [1, 2,
            3]
}
`;
const toml = `# Codex, by hand
model = "gpt-9"          # the best

[mcp_servers.files]      # mine
command = "npx"
args = ["-y", "server-filesystem"]

[profiles.fast]
model = "gpt-9-mini"
# the end
`;

type Case = {
  client: string;
  user: string;
  inProject: string;
  text: string;
  container: string;
  entry: object;
  stdio: object;
  env?: Record<string, string>;
};
const bearer = (reference: string) => ({ Authorization: `Bearer ${reference}` });
const url = 'http://127.0.0.1:7420/mcp';
const stdio = { command: 'quarterdeck', args: ['mcp', 'stdio'] };
const dollar = '$';
const cases: Case[] = [
  {
    client: 'claude-code',
    user: '.claude.json',
    inProject: '.mcp.json',
    text: jsonWith('mcpServers'),
    container: 'mcpServers',
    entry: { type: 'http', url, headers: bearer(`${dollar}{QUARTERDECK_TOKEN}`) },
    stdio: { type: 'stdio', ...stdio },
  },
  {
    client: 'vscode',
    user: '.config/Code/User/mcp.json',
    inProject: '.vscode/mcp.json',
    text: jsonWith('servers'),
    container: 'servers',
    entry: { type: 'http', url, headers: bearer(`${dollar}{input:quarterdeck-token}`) },
    stdio: { type: 'stdio', ...stdio },
  },
  {
    client: 'cursor',
    user: '.cursor/mcp.json',
    inProject: '.cursor/mcp.json',
    text: jsonWith('mcpServers'),
    container: 'mcpServers',
    entry: { url, headers: bearer(`${dollar}{env:QUARTERDECK_TOKEN}`) },
    stdio,
  },
  {
    client: 'codex',
    user: '.codex/config.toml',
    inProject: '.codex/config.toml',
    text: toml,
    container: 'mcp_servers',
    entry: { url, bearer_token_env_var: 'QUARTERDECK_TOKEN' },
    stdio,
  },
  {
    client: 'gemini-cli',
    user: '.gemini/settings.json',
    inProject: '.gemini/settings.json',
    text: jsonWith('mcpServers'),
    container: 'mcpServers',
    entry: { httpUrl: url, headers: bearer(`${dollar}{QUARTERDECK_TOKEN}`) },
    stdio,
  },
  {
    client: 'copilot-cli',
    user: '.copilot/mcp-config.json',
    inProject: '.github/mcp.json',
    text: jsonWith('mcpServers'),
    container: 'mcpServers',
    entry: { type: 'http', url, headers: bearer(`${dollar}{QUARTERDECK_TOKEN}`), tools: ['*'] },
    stdio: { type: 'local', ...stdio, tools: ['*'] },
  },
];
const dataOf = ({ client }: Case, text: string): Record<string, Record<string, unknown>> =>
  JSON.parse(JSON.stringify(client === 'codex' ? parseToml(text) : parseJson(text)));
const comments = (text: string): string[] => text.match(/(?:#|\/\/(?!mcp|127)|\/\*).*/g) ?? [];

describe.each(cases)('$client', (one) => {
  const { client, container, entry } = one;
  const userFile = () => join(home, one.user);
  const projectFile = () => join(project, one.inProject);

  test('gets an entry beside all others, once; taken out again the file is what it was, to the byte', async () => {
    write(userFile(), one.text);
    chmodSync(userFile(), 0o640);
    expect(await connect(client)).toBe('add');
    const after = read(userFile());
    const [before, now] = [dataOf(one, one.text), dataOf(one, after)];
    expect(now[container]).toEqual({ ...before[container], quarterdeck: entry });
    const { [container]: _servers, inputs: _inputs, ...others } = now;
    const { [container]: _, ...othersBefore } = before;
    expect(others).toEqual(othersBefore);
    expect(comments(after)).toEqual(comments(one.text));
    expect(statSync(userFile()).mode & 0o777).toBe(0o640);

    expect(await connect(client)).toBe('none');
    expect(read(userFile())).toBe(after);

    expect(await disconnect(client)).toBe('remove');
    expect(read(userFile())).toBe(one.text);
    expect(statSync(userFile()).mode & 0o777).toBe(0o640);
    expect(await disconnect(client)).toBe('none');
    expect(readdirSync(dirname(userFile())).filter((name) => name.startsWith(one.user.split('/').at(-1) ?? ''))).toHaveLength(1);
  });

  test('gets a file where there is none, in the project too, which goes again with the folders that were made for it', async () => {
    for (const [scope, file, mode] of [
      ['user', userFile(), 0o600],
      ['project', projectFile(), 0o644],
    ] as const) {
      await connect(client, { scope });
      expect(dataOf(one, read(file))[container]).toEqual({ quarterdeck: entry });
      expect(statSync(file).mode & 0o777).toBe(mode & ~process.umask());
      await disconnect(client, { scope });
      expect(existsSync(file)).toBe(false);
    }
    for (const folder of [home, project]) expect(readdirSync(folder)).toEqual([]);
  });

  test('keeps what others changed meanwhile when it is disconnected', async () => {
    write(userFile(), one.text);
    await connect(client);
    const changed = read(userFile()).replace('the best', 'the very best');
    const more =
      client === 'codex'
        ? `${changed}\n[mcp_servers.new] # later\nurl = "x"\n`
        : changed.replace(`"${container}": {`, `"${container}": {\n    "new": {}, // later`);
    writeFileSync(userFile(), more);
    await disconnect(client);
    const after = read(userFile());
    const expected = dataOf(one, more);
    delete expected[container]?.quarterdeck;
    if (client === 'vscode') expected.inputs = [] as never;
    expect(dataOf(one, after)).toEqual(expected);
    expect(comments(after)).toEqual(comments(more));
  });

  test('shows what would be written, and where, and writes nothing', async () => {
    const { code, stdout, stderr } = await run(['connect', client, '--print']);
    expect(code).toBe(0);
    expect(dataOf(one, stdout)[container]).toEqual({ quarterdeck: entry });
    expect(stderr).toContain(`This goes into ${userFile()}`);
    expect(stdout + stderr).not.toContain(secret);
    expect(readdirSync(home)).toEqual([]);
    expect(existsSync(join(root, 'data'))).toBe(false);
  });

  test('can be given the bridge on stdio instead, which needs no token', async () => {
    await connect(client, { scope: 'project' }, { kind: 'stdio', ...stdio });
    expect(dataOf(one, read(projectFile()))[container]).toEqual({ quarterdeck: one.stdio });
    expect(dataOf(one, read(projectFile())).inputs).toBeUndefined();
    await disconnect(client, { scope: 'project' });
    expect(existsSync(projectFile())).toBe(false);
  });

  test('that cannot be read is left alone, and the line is named', async () => {
    const broken = client === 'codex' ? 'model = "x"\nbroken =\n' : '{\n  "a": 1\n  "b": 2\n}\n';
    write(userFile(), broken);
    const place = expect.stringMatching(client === 'codex' ? /config\.toml:2:\d+$/ : /\.json:3:3$/);
    const message = expect.stringContaining('nothing was changed');
    for (const attempt of [connect, disconnect])
      await expect(attempt(client)).rejects.toMatchObject({ message, issues: [expect.objectContaining({ place })] });
    expect(read(userFile())).toBe(broken);
  });

  test('keeps another server of that name', async () => {
    const foreign =
      client === 'codex'
        ? '[mcp_servers.quarterdeck]\nurl = "https://elsewhere/api"\n'
        : `{ "${container}": { "quarterdeck": { "url": "https://elsewhere/api" } } }`;
    write(userFile(), foreign);
    await expect(connect(client)).rejects.toThrow('another server named quarterdeck');
    await expect(disconnect(client)).rejects.toThrow('so it stays');
    expect(read(userFile())).toBe(foreign);
    await connect(client, { server: 'deck' });
    expect(dataOf(one, read(userFile()))[container]).toMatchObject({ quarterdeck: { url: 'https://elsewhere/api' }, deck: {} });
  });
});

describe('the file', () => {
  const file = () => join(home, '.cursor', 'mcp.json');

  test('is written through a link, which stays one, also when nothing is there yet', async () => {
    const target = join(root, 'dotfiles', 'cursor.json');
    write(target, '{}\n');
    mkdirSync(dirname(file()));
    symlinkSync(target, file());
    await connect('cursor');
    expect(lstatSync(file()).isSymbolicLink()).toBe(true);
    expect(read(target)).toContain('quarterdeck');
    await disconnect('cursor');
    expect(read(target)).toBe('{}\n');
    rmSync(target);
    await connect('cursor');
    expect(lstatSync(file()).isSymbolicLink()).toBe(true);
    expect(read(target)).toContain('quarterdeck');
  });

  test('keeps its byte order mark and its kind of lines', async () => {
    const text = '\ufeff{\r\n  "mcpServers": {\r\n    "a": {}\r\n  }\r\n}\r\n';
    write(file(), text);
    await connect('cursor');
    expect(read(file()).startsWith('\ufeff{\r\n')).toBe(true);
    expect(read(file()).replaceAll('\r\n', '')).not.toContain('\n');
    await disconnect('cursor');
    expect(read(file())).toBe(text);
  });

  test('that is no UTF-8, or a folder, is refused', async () => {
    mkdirSync(dirname(file()));
    writeFileSync(file(), Buffer.from([0x7b, 0xff, 0xfe, 0x7d]));
    await expect(connect('cursor')).rejects.toThrow('is not UTF-8');
    rmSync(file());
    mkdirSync(file());
    await expect(connect('cursor')).rejects.toThrow('EISDIR');
  });

  test('lies where the environment of the client says', async () => {
    const environment = { CLAUDE_CONFIG_DIR: '/c', CODEX_HOME: '/x', COPILOT_HOME: '/g', XDG_CONFIG_HOME: '/v' };
    const places = { home, project, platform: 'linux' as const, environment };
    const files = Object.fromEntries(clientTable.map(({ name, fileOf }) => [name, fileOf('user', places)]));
    expect(files).toMatchObject({
      'claude-code': '/c/.claude.json',
      codex: '/x/config.toml',
      'copilot-cli': '/g/mcp-config.json',
      vscode: '/v/Code/User/mcp.json',
    });
    const ofMac = clientTable.find(({ name }) => name === 'vscode')?.fileOf('user', { ...places, platform: 'darwin' });
    expect(ofMac).toBe(join(home, 'Library/Application Support/Code/User/mcp.json'));
  });

  test('that somebody else writes at the same moment is left to them', async () => {
    write(file(), '{}\n');
    const plan = await planConnect(connectionOf('cursor'), http);
    writeFileSync(file(), '{ "theirs": 1 }\n');
    await expect(plan.write()).rejects.toMatchObject({ code: 'conflict' });
    expect(read(file())).toBe('{ "theirs": 1 }\n');
    expect(readdirSync(dirname(file()))).toEqual(['mcp.json']);
  });
});

describe('a connection', () => {
  const file = () => join(home, '.cursor', 'mcp.json');
  const text = '{\n  "mcpServers": { "a": {} } // one\n}\n';

  test('follows the gateway to another address, and is still undone to the byte', async () => {
    write(file(), text);
    await connect('cursor');
    expect(await connect('cursor', {}, { ...http, url: 'https://deck.example/mcp' })).toBe('replace');
    expect(read(file())).toContain('https://deck.example/mcp');
    expect(read(file())).not.toContain('7420');
    await disconnect('cursor');
    expect(read(file())).toBe(text);
  });

  test('of somebody who has no record of it is taken out all the same', async () => {
    write(file(), text);
    await connect('cursor');
    rmSync(join(root, 'data'), { recursive: true });
    await disconnect('cursor');
    expect(read(file())).toBe(text);
  });

  test('of two toolsets to VS Code shares the question for the token, which goes with the last', async () => {
    const path = join(project, '.vscode/mcp.json');
    const inputs = () => (parseJson(read(path)).inputs as unknown[]).length;
    for (const server of ['docs', 'code']) await connect('vscode', { scope: 'project', server });
    expect(inputs()).toBe(1);
    await disconnect('vscode', { scope: 'project', server: 'docs' });
    expect(inputs()).toBe(1);
    await disconnect('vscode', { scope: 'project', server: 'code' });
    expect(existsSync(path) ? inputs() : 0).toBe(0);
  });
});

describe('the commands', () => {
  const file = () => join(home, '.cursor', 'mcp.json');

  test('say what they did, what comes next and how to undo it', async () => {
    const connected = await run(['connect', 'cursor', '--toolset', 'docs', '--scope', 'project']);
    const path = join(project, '.cursor/mcp.json');
    expect(connected).toMatchObject({ code: 0, stdout: `Cursor connected: quarterdeck-docs in ${path} leads to ${url}/docs\n` });
    expect(connected.stderr).toContain('Next: set QUARTERDECK_TOKEN');
    const undo = 'disconnect cursor --toolset docs --scope project';
    expect(connected.stderr).toContain(`Undo: quarterdeck ${undo}\n`);
    expect(read(path) + read(join(root, 'data/connections.json'))).not.toContain(secret);
    expect((await run(['connect', 'cursor', '--toolset', 'docs', '--scope', 'project'])).stdout).toContain('already connected');
    expect(await run(undo.split(' '))).toMatchObject({
      code: 0,
      stdout: `Cursor disconnected: quarterdeck-docs was taken out of ${path}\n`,
    });
    expect(await run(undo.split(' '))).toMatchObject({ code: 0, stdout: expect.stringContaining('not connected') });
  });

  test('name the line of a file that they cannot read', async () => {
    write(file(), '{\n  "a": 1\n  "b": 2\n}\n');
    const { code, stderr } = await run(['connect', 'cursor']);
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`^${file()}:3:3: Comma expected\nError: .* nothing was changed`));
  });

  test('finds the running platform by itself, and says what to do when there is none', async () => {
    const nothing = await run(['connect', 'cursor'], { QUARTERDECK_URL: '' });
    expect(nothing).toMatchObject({ code: 1, stderr: expect.stringContaining('start one with: quarterdeck up') });
    const address = (port: number) => `http://127.0.0.1:${port}`;
    write(
      join(root, 'data/state/ready.json'),
      JSON.stringify({
        url: address(7500),
        mcpUrl: `${address(7500)}/mcp`,
        modelsUrl: address(7500),
        consoleUrl: address(7501),
        apiUrl: address(7501),
        metricsUrl: address(7502),
        temporalAddress: 'x:1',
        databaseUrl: 'postgres://x',
        pid: 1,
      }),
    );
    const found = await run(['connect', 'cursor', '--toolset', 'docs', '-p', 'team'], { QUARTERDECK_URL: '' });
    expect(found.stdout).toContain(`${address(7500)}/mcp/default/team/docs`);
  });

  test('is listed, and told as JSON', async () => {
    await run(['connect', 'cursor']);
    await run(['connect', 'codex', '--stdio', '--toolset', 'docs']);
    const { stdout } = await run(['connect', '-o', 'json']);
    expect(JSON.parse(stdout).connections).toEqual(
      expect.arrayContaining([
        { client: 'cursor', server: 'quarterdeck', to: url, path: file() },
        { client: 'codex', server: 'quarterdeck-docs', to: 'quarterdeck mcp stdio docs', path: join(home, '.codex/config.toml') },
        { client: 'vscode', path: join(home, '.config/Code/User/mcp.json') },
      ]),
    );
    expect(JSON.parse((await run(['connect', 'cursor', '-o', 'json'])).stdout)).toMatchObject({
      action: 'already connected',
      server: 'quarterdeck',
    });
    expect((await run(['connect'])).stdout).toMatch(/cursor +quarterdeck +http/);
  });

  test.each([
    [['connect', 'emacs'], 'emacs'],
    [['connect', 'cursor', '--name', 'a b'], '--name a b'],
    [['connect', 'cursor', '--token-env', 'A-B'], '--token-env A-B'],
    [['connect', 'cursor', '--toolset', 'Bad Name'], 'no name of a toolset'],
    [['disconnect'], 'client'],
  ])('written wrongly is a mistake of usage: %j', async (args, words) => {
    const { code, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stderr).toContain(words);
  });

  test('in a clone names the program by its place, and never in a file that others share', async () => {
    const env = { npm_command: 'run-script' };
    const { stdout } = await run(['connect', 'cursor', '--stdio', '--print'], env);
    expect(parseJson(stdout).mcpServers.quarterdeck).toMatchObject({
      command: process.execPath,
      args: [expect.stringMatching(/cli\/quarterdeck\.mjs$/), 'mcp', 'stdio'],
    });
    expect((await run(['connect', 'cursor', '--stdio', '--scope', 'project'], env)).code).toBe(2);
  });
});
