import type { ScriptedAnswer, ScriptedRequest } from './scripted-model.ts';

/** What a player of the survey sees of a step: which role asks, its task, and how many results it has had. */
export type SurveyStep = { role: 'scout' | 'reader' | 'clerk'; task: Record<string, string>; results: number };

const roleOfTool = { directory_tree: 'scout', read_text_file: 'reader', write_file: 'clerk' } as const;

/** Reads who asks from the tools that the request offers. */
export const surveyStepOf = ({ body }: ScriptedRequest): SurveyStep => {
  const names: string[] = body.tools.map((tool: { function: { name: string } }) => tool.function.name);
  const tool = names.find((name) => name in roleOfTool) as keyof typeof roleOfTool | undefined;
  if (!tool) throw new Error(`nobody of the survey has the tools ${names.join(', ')}`);
  const task = JSON.parse(body.messages[1].content.split('\n').slice(1).join('\n'));
  return { role: roleOfTool[tool], task, results: body.messages.filter((message: { role: string }) => message.role === 'tool').length };
};

/** Plays a good model of its own tool calls: the scout chooses `files`, each reader reads its file, the clerk writes the draft. */
export const playSurveyStep = ({ role, task, results }: SurveyStep, files: string[]): ScriptedAnswer => {
  const call = (name: string, args: object): ScriptedAnswer => ({ toolCalls: [{ name, arguments: args }] });
  const answer = (value: object): ScriptedAnswer => JSON.stringify(value);
  switch (role) {
    case 'scout':
      return results === 0 ? call('directory_tree', { path: '/input' }) : answer({ files });
    case 'reader':
      return results === 0
        ? call('read_text_file', { path: task.path })
        : answer({ path: task.path, purpose: `purpose of ${task.path}`, kind: 'source', risk: 'none', todos: [] });
    case 'clerk':
      return results === 0 ? call('write_file', { path: '/output/survey.md', content: task.draft }) : answer({ written: true });
  }
};
