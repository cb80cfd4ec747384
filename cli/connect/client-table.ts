import { join } from 'node:path';
import type { Addition, ConfigFormat } from './config-format.ts';
import { jsonFormat } from './json-format.ts';
import { tomlFormat } from './toml-format.ts';

export type Scope = 'user' | 'project';

/** Where a client may keep its files; `environment` as its own programs see it. */
export type Places = {
  home: string;
  project: string;
  platform: NodeJS.Platform;
  environment: Readonly<Record<string, string | undefined>>;
};

/** How a client reaches the gateway: at its URL with a token of its environment, or over a command that speaks stdio. */
export type Route = { kind: 'http'; url: string; tokenVariable: string } | { kind: 'stdio'; command: string; args: string[] };

/** An agent client: its files, and how it writes servers. Checked against the documentation named at each, November 2026. */
export type Client = {
  name: string;
  title: string;
  format: ConfigFormat;
  fileOf(scope: Scope, places: Places): string;
  /** What a route is in its words; the first addition is the server. No secret stands in any of them. */
  additions(name: string, route: Route): Addition[];
  /** How its user gives it the token. */
  tokenAdvice(tokenVariable: string): string;
};

const fromEnvironment = (title: string) => (variable: string) => `set ${variable} to your token in the environment that ${title} starts in`;

const member = (container: string, name: string, value: Record<string, unknown>): Addition => ({ kind: 'member', container, name, value });
const bearer = (reference: string) => ({ Authorization: `Bearer ${reference}` });

/** @see https://code.claude.com/docs/en/mcp */
const claudeCode: Client = {
  name: 'claude-code',
  title: 'Claude Code',
  format: jsonFormat,
  fileOf: (scope, { home, project, environment }) =>
    scope === 'project' ? join(project, '.mcp.json') : join(environment.CLAUDE_CONFIG_DIR || home, '.claude.json'),
  additions: (name, route) => [
    member(
      'mcpServers',
      name,
      route.kind === 'http'
        ? { type: 'http', url: route.url, headers: bearer(`\${${route.tokenVariable}}`) }
        : { type: 'stdio', command: route.command, args: route.args },
    ),
  ],
  tokenAdvice: fromEnvironment('Claude Code'),
};

const configFolder = ({ home, platform, environment }: Places): string => {
  if (platform === 'darwin') return join(home, 'Library', 'Application Support');
  if (platform === 'win32') return environment.APPDATA || join(home, 'AppData', 'Roaming');
  return environment.XDG_CONFIG_HOME || join(home, '.config');
};

const tokenInput = { type: 'promptString', id: 'quarterdeck-token', description: 'Token for Quarterdeck', password: true };

/**
 * It asks its user for the token and keeps it in its own store: variables of the environment are not filled into headers in every version.
 * @see https://code.visualstudio.com/docs/copilot/reference/mcp-configuration
 */
const vscode: Client = {
  name: 'vscode',
  title: 'VS Code',
  format: jsonFormat,
  fileOf: (scope, places) =>
    scope === 'project' ? join(places.project, '.vscode', 'mcp.json') : join(configFolder(places), 'Code', 'User', 'mcp.json'),
  additions: (name, route) =>
    route.kind === 'http'
      ? [
          member('servers', name, { type: 'http', url: route.url, headers: bearer(`\${input:${tokenInput.id}}`) }),
          { kind: 'item', container: 'inputs', name: tokenInput.id, value: tokenInput },
        ]
      : [member('servers', name, { type: 'stdio', command: route.command, args: route.args })],
  tokenAdvice: () => 'VS Code asks for your token when it starts the server, and keeps it',
};

/** @see https://cursor.com/docs/mcp */
const cursor: Client = {
  name: 'cursor',
  title: 'Cursor',
  format: jsonFormat,
  fileOf: (scope, { home, project }) => join(scope === 'project' ? project : home, '.cursor', 'mcp.json'),
  additions: (name, route) => [
    member(
      'mcpServers',
      name,
      route.kind === 'http'
        ? { url: route.url, headers: bearer(`\${env:${route.tokenVariable}}`) }
        : { command: route.command, args: route.args },
    ),
  ],
  tokenAdvice: fromEnvironment('Cursor'),
};

/** Reads the file of a project only where that project is trusted. @see https://developers.openai.com/codex/mcp */
const codex: Client = {
  name: 'codex',
  title: 'Codex',
  format: tomlFormat,
  fileOf: (scope, { home, project, environment }) =>
    join(scope === 'project' ? join(project, '.codex') : environment.CODEX_HOME || join(home, '.codex'), 'config.toml'),
  additions: (name, route) => [
    member(
      'mcp_servers',
      name,
      route.kind === 'http' ? { url: route.url, bearer_token_env_var: route.tokenVariable } : { command: route.command, args: route.args },
    ),
  ],
  tokenAdvice: fromEnvironment('Codex'),
};

/** `url` means HTTP+SSE to it. @see https://geminicli.com/docs/tools/mcp-server/ */
const geminiCli: Client = {
  name: 'gemini-cli',
  title: 'Gemini CLI',
  format: jsonFormat,
  fileOf: (scope, { home, project }) => join(scope === 'project' ? project : home, '.gemini', 'settings.json'),
  additions: (name, route) => [
    member(
      'mcpServers',
      name,
      route.kind === 'http'
        ? { httpUrl: route.url, headers: bearer(`\${${route.tokenVariable}}`) }
        : { command: route.command, args: route.args },
    ),
  ],
  tokenAdvice: fromEnvironment('Gemini CLI'),
};

/** @see https://docs.github.com/en/copilot/reference/copilot-cli-reference/cli-command-reference */
const copilotCli: Client = {
  name: 'copilot-cli',
  title: 'Copilot CLI',
  format: jsonFormat,
  fileOf: (scope, { home, project, environment }) =>
    scope === 'project'
      ? join(project, '.github', 'mcp.json')
      : join(environment.COPILOT_HOME || join(home, '.copilot'), 'mcp-config.json'),
  additions: (name, route) => [
    member(
      'mcpServers',
      name,
      route.kind === 'http'
        ? { type: 'http', url: route.url, headers: bearer(`\${${route.tokenVariable}}`), tools: ['*'] }
        : { type: 'local', command: route.command, args: route.args, tools: ['*'] },
    ),
  ],
  tokenAdvice: fromEnvironment('Copilot CLI'),
};

export const clientTable: readonly Client[] = [claudeCode, vscode, cursor, codex, geminiCli, copilotCli];
