import type { Command } from 'commander';
import { commandName } from '../client/command-name.ts';
import { type Config, readConfig } from '../config.ts';
import { bridgeRoute } from '../connect/bridge-route.ts';
import { type ClientOptions, clientCommand, connectionOf } from '../connect/client-options.ts';
import type { Route } from '../connect/client-table.ts';
import { confirm } from '../connect/confirm.ts';
import { planConnect } from '../connect/connect-client.ts';
import { findGateway } from '../connect/find-gateway.ts';
import { listConnections } from '../connect/list-connections.ts';
import { endpointUrl } from '../mcp/endpoint-url.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { renderTable } from '../output/table.ts';
import { print, say } from '../output/talk.ts';

type Options = ClientOptions & { tokenEnv: string; stdio?: boolean; print?: boolean };

const routeOf = (config: Config, { stdio, tokenEnv, ...options }: Options): Route => {
  if (stdio) return bridgeRoute(config, options);
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(tokenEnv)) throw usageError(`--token-env ${tokenEnv} is no name of a variable`);
  return { kind: 'http', url: endpointUrl(findGateway(config, options.data), options, options.toolset), tokenVariable: tokenEnv };
};

const connect = async (clientName: string | undefined, options: Options): Promise<void> => {
  const config = readConfig();
  const { format, yes, scope } = options;
  if (clientName === undefined) {
    const found = await listConnections((name) => connectionOf(config, name, options));
    if (format === 'json') return print(JSON.stringify({ connections: found }, undefined, 2));
    return print(
      renderTable(
        ['CLIENT', 'SERVER', 'TO', 'FILE'],
        found.map(({ client, server, to, path }) => [client, server ?? '', to ?? '', path]),
      ),
    );
  }
  const connection = connectionOf(config, clientName, options);
  const { client, name, places } = connection;
  const route = routeOf(config, options);
  const snippet = client.format.write(client.additions(name, route));
  if (options.print) {
    print(snippet.trimEnd());
    return say(`This goes into ${client.fileOf(scope, places)}`);
  }

  const to = route.kind === 'http' ? route.url : [route.command, ...route.args].join(' ');
  const plan = await planConnect(connection, route);
  if (plan.what !== 'none') {
    if (format !== 'json' && process.stderr.isTTY) say(snippet.replaceAll(/^(?=.)/gm, '+ ').trimEnd());
    await confirm(`Write this to ${plan.path}?`, yes);
    await plan.write();
  }
  const action = { none: 'already connected', add: 'connected', replace: 'connected anew' }[plan.what];
  if (format === 'json') return print(JSON.stringify({ client: client.name, server: name, to, path: plan.path, action }, undefined, 2));
  print(`${client.title} ${action}: ${name} in ${plan.path} leads to ${to}`);
  if (plan.what === 'none') return;
  if (route.kind === 'http') say(`Next: ${client.tokenAdvice(route.tokenVariable)}; with --stdio none is needed on this machine.`);
  const given = [
    options.toolset && `--toolset ${options.toolset}`,
    options.name && `--name ${options.name}`,
    scope === 'project' && '--scope project',
  ];
  say(`Undo: ${[commandName(config), 'disconnect', client.name, ...given.filter(Boolean)].join(' ')}`);
};

export const connectCommand = (): Command =>
  withExamples(
    clientCommand('connect', false)
      .description('Let an agent client use the gateway: writes one entry into its configuration and leaves all else as it is')
      .option(
        '--token-env <variable>',
        'variable that the client takes your token from; no file holds the token itself',
        'QUARTERDECK_TOKEN',
      )
      .option('--stdio', 'over `quarterdeck mcp stdio`, which finds the platform and your token by itself')
      .option('--print', 'show what would be written, and where; write nothing')
      .action(connect),
    [
      ['quarterdeck connect claude-code', 'everything you may use, for all your projects'],
      ['quarterdeck connect vscode --toolset docs --scope project', 'one toolset, in a file that the project shares'],
      ['quarterdeck connect codex --stdio', 'no token at all: a platform of this machine'],
      ['quarterdeck connect cursor --print', 'only show it'],
      ['quarterdeck connect', 'which clients are connected'],
    ],
  );
