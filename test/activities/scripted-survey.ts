import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTool, treeOf, treeTool, writeTool } from '../agents/transcripts.ts';
import { type Arrived, type FakeGateway, type Scripted, sayJson, toolText } from './fake-gateway.ts';

type Step = { properties?: { tool?: { const: string }; arguments?: { properties: Record<string, { enum: unknown[] }> }; answer?: object } };

const stepOf = ({ chat }: Arrived): Step => chat?.response_format?.json_schema.schema as Step;

/** Does what the grammar of its step allows: the first value of each argument, and an answer of the kind asked for. */
export const obedientModel = (call: Arrived, filesToChoose: string[]): Scripted => {
  const { tool, arguments: args } = stepOf(call).properties ?? {};
  if (tool)
    return sayJson({
      tool: tool.const,
      arguments: Object.fromEntries(Object.entries(args?.properties ?? {}).map(([name, value]) => [name, value.enum[0]])),
    });
  if (call.agentId.includes('/scout/')) return sayJson({ answer: { files: filesToChoose } });
  if (call.agentId.includes('/reader/')) {
    const task = JSON.parse(call.chat?.messages[1]?.content?.split('\n').slice(1).join('\n') ?? '{}') as { path: string };
    return sayJson({ answer: { path: task.path, purpose: `purpose of ${task.path}` } });
  }
  return sayJson({ answer: { written: true } });
};

/** Lets a fake gateway play the survey of a folder of 30 files; each file's text begins with `planted`. */
export const playSurvey = (
  fake: FakeGateway,
  { files, planted = 'hello', outputDirectory }: { files: string[]; planted?: string; outputDirectory: string },
): void => {
  fake.script.tools = [treeTool, readTool, writeTool];
  fake.script.onModel = (call) => obedientModel(call, files);
  fake.script.onTool = async (call) => {
    if (call.tool === 'directory_tree') return toolText(treeOf(30));
    if (call.tool === 'read_text_file') return toolText(`${planted} ${call.arguments?.path}`);
    await writeFile(join(outputDirectory, 'survey.md'), String(call.arguments?.content));
    return toolText('written');
  };
};
