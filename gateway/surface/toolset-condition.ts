import type { ToolsetTableResult } from './toolset-table.ts';

/** How a toolset stands, for its condition `Ready`. */
export type ToolsetState = { status: 'True' | 'False'; reason: 'Serves' | 'Conflict' | 'WaitingForServers'; message: string };

/** A condition is read by people: what does not fit is counted. */
const longestMessage = 1000;

const withNotes = (message: string, notes: readonly string[]): string => {
  const text = [message, ...notes].join('; ');
  return text.length <= longestMessage ? text : `${text.slice(0, longestMessage - 1)}…`;
};

/**
 * Says what stands in the condition of a toolset: whether it serves, and all that it could not expose as it was asked to.
 * @param waiting - names of its servers that have not answered yet
 */
export const toolsetState = (result: ToolsetTableResult, waiting: readonly string[]): ToolsetState => {
  if (!result.ok) return { status: 'False', reason: 'Conflict', message: result.detail };
  const { tools, prompts, templates, search, clashes, notes } = result.table;
  if (clashes.length > 0)
    return {
      status: 'False',
      reason: 'Conflict',
      message: withNotes(
        `two servers give the same name, and nobody has it until \`rename\` tells them apart: ${clashes.join('; ')}`,
        notes,
      ),
    };
  if (waiting.length > 0)
    return { status: 'False', reason: 'WaitingForServers', message: withNotes(`waiting for ${waiting.join(', ')}`, notes) };
  const counts = [
    `${tools.size} tools${search.size > 0 ? ' behind find_tool and call_tool' : ''}`,
    ...(prompts.size > 0 ? [`${prompts.size} prompts`] : []),
    ...(templates.length > 0 ? [`${templates.length} resource templates`] : []),
  ];
  return { status: 'True', reason: 'Serves', message: withNotes(counts.join(', '), notes) };
};
