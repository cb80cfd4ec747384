import type { Transcript, TranscriptEntry } from '../../agents/conversation.ts';
import { plainText } from './plain-text.ts';

const indented = (text: string): string[] => text.split('\n').map((line) => `  ${plainText(line)}`);

const entryLines = (entry: TranscriptEntry): string[] => {
  switch (entry.kind) {
    case 'answer':
      return [
        'answer',
        ...(entry.text === '' ? [] : indented(entry.text)),
        ...entry.calls.map((call) => plainText(`calls ${call.tool} ${JSON.stringify(call.arguments)}`)),
      ];
    case 'result':
      return [`result: ${entry.outcome}`, ...indented(entry.text)];
    case 'repair':
      return ['not usable; the model was told', ...indented(entry.message)];
    case 'resumed':
      return [`resumed by a person, attempt ${entry.attempt}`];
  }
};

/** What an agent was told, what its model answered and what its tools gave back, for people. */
export const transcriptText = (agentId: string, state: string, { head, entries }: Transcript): string =>
  [
    [`Agent ${agentId}: ${state}`, `model ${head.model.alias}, tools ${head.tools.map(({ name }) => name).join(', ') || 'none'}`],
    ['instructions', ...indented(head.instructions)],
    ['input', ...indented(JSON.stringify(head.input, undefined, 2))],
    ...entries.map(entryLines),
  ]
    .map((lines) => lines.join('\n'))
    .join('\n\n');
