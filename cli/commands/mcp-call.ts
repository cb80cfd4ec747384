import { text as readAll } from 'node:stream/consumers';
import { Option } from 'commander';
import type { JsonObject } from '../../gateway/mcp/message.ts';
import { interruptible } from '../client/follow-run.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { findTool } from '../mcp/find-tool.ts';
import { readArguments, readJsonArguments } from '../mcp/read-arguments.ts';
import { withClient } from '../mcp/with-client.ts';
import { CliError, usageError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { contentText, forOutput } from '../output/mcp-content.ts';
import { plainText } from '../output/plain-text.ts';
import { print, say } from '../output/talk.ts';
import { parseDuration } from '../output/units.ts';

type Options = ConnectionOptions & { toolset?: string; json?: string; timeout: string; format: Format };

const showProgress = ({ progress, total, message }: { progress: number; total?: number; message?: string }): void =>
  say(plainText(`[${progress}${total === undefined ? '' : `/${total}`}] ${message ?? ''}`.trimEnd()));

const call = async (name: string, pairs: string[], { toolset, json, timeout, format, ...connection }: Options): Promise<void> => {
  if (json !== undefined && pairs.length > 0) throw usageError('Give the arguments either as name=value or with --json');
  const timeoutMs = parseDuration(timeout);
  if (timeoutMs === undefined) throw usageError(`--timeout ${timeout} is not a time such as 60s or 5m`);
  const given = json === undefined ? undefined : readJsonArguments(json === '-' ? await readAll(process.stdin) : json);
  const result = await interruptible((signal) =>
    withClient(openSession(connection), toolset, async (client) => {
      const tool = await findTool(client, name);
      const params = { name, arguments: given ?? readArguments(pairs, tool.inputSchema as JsonObject) };
      // nobody hears of a call that goes on after Ctrl-C
      return client
        .callTool(params, { timeout: timeoutMs, resetTimeoutOnProgress: true, onprogress: showProgress, signal })
        .catch((error) => {
          if (!signal.aborted) throw error;
          throw new CliError('The call was cancelled', { code: 'interrupted', exitCode: exitCodes.interrupted });
        });
    }),
  );
  if (result.isError) process.exitCode = exitCodes.error;
  if (format === 'json') return print(JSON.stringify(result, undefined, 2));
  for (const block of result.content) (result.isError ? say : print)(forOutput(contentText(block)));
  if (result.content.length === 0 && result.structuredContent !== undefined) print(JSON.stringify(result.structuredContent, undefined, 2));
};

export const mcpCallCommand = () =>
  connectedCommand('call')
    .description('Call a tool through the gateway, as an agent does')
    .argument('<tool>', 'its name, as `quarterdeck mcp ls` shows it')
    .argument('[name=value...]', 'arguments; what is no text is read as JSON')
    .option('--toolset <name>', 'of this toolset; without it, of everything you may use')
    .option('--json <arguments>', 'all arguments as one JSON object, or - for stdin')
    .addOption(new Option('--timeout <time>', 'how long to wait for an answer or for progress').default('5m'))
    .addOption(formatOption(['table', 'json']))
    .action(call);
