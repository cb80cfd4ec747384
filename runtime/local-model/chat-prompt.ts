import type { ChatMessage } from './generation.ts';
import type { LlamaModel, Token } from './llama-library.ts';

/** What the model's own template says when a conversation begins without instructions. */
const usualInstructions: ChatMessage = { role: 'system', content: 'You are a helpful AI assistant named SmolLM, trained by Hugging Face' };

/**
 * A conversation as the model was trained to read it (ChatML, as in the template of its file), up to where its answer begins.
 * Contents are read as plain text: `<|im_end|>` in a document cannot end a message and begin one in another's name.
 */
export const promptTokens = (model: LlamaModel, messages: readonly ChatMessage[]): Token[] => {
  const control = (name: string): Token[] => model.tokenize(name, true);
  const plain = (text: string): Token[] => model.tokenize(text, false);
  const whole = messages[0]?.role === 'system' ? messages : [usualInstructions, ...messages];
  return [
    ...whole.flatMap(({ role, content }) => [
      ...control('<|im_start|>'),
      ...plain(`${role}\n${content}`),
      ...control('<|im_end|>'),
      ...plain('\n'),
    ]),
    ...control('<|im_start|>'),
    ...plain('assistant\n'),
  ];
};
