import { Command } from 'commander';
import { withExamples } from '../output/command-help.ts';
import { mcpCallCommand } from './mcp-call.ts';
import { mcpListCommand, mcpPromptCommand, mcpReadCommand } from './mcp-look.ts';
import { mcpStdioCommand } from './mcp-stdio.ts';

export const mcpCommand = (): Command =>
  withExamples(
    new Command('mcp')
      .description('Use tools, prompts and resources through the gateway')
      .addCommand(mcpListCommand())
      .addCommand(mcpCallCommand())
      .addCommand(mcpReadCommand())
      .addCommand(mcpPromptCommand())
      .addCommand(mcpStdioCommand()),
    [
      ['quarterdeck mcp ls', 'every tool that you may use'],
      ['quarterdeck mcp call echo --toolset echo message=hello', 'through policy and audit, as an agent does'],
      ['quarterdeck mcp read file:///README.md --toolset docs', 'a resource'],
      ['quarterdeck mcp stdio echo', 'for a client that starts its servers itself'],
    ],
  );
