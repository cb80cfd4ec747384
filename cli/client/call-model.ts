import { CliError } from '../output/cli-error.ts';
import { exitCodeOf } from '../output/render-error.ts';
import { noPlatform, type Platform } from './find-platform.ts';

const answerWithinMs = 600_000;

type Completion = {
  choices?: { message?: { content?: string | null } }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number };
  error?: { message?: string; code?: string };
};

/**
 * Asks a model one thing, through the gateway as any client does.
 * @throws {CliError} with what the gateway says: refused by policy, no such alias, provider away
 */
export const callModel = async (
  { modelsUrl, tokenFor, place }: Pick<Platform, 'modelsUrl' | 'tokenFor' | 'place'>,
  alias: string,
  prompt: string,
  maxTokens: number,
): Promise<{ text: string; inputTokens: number; outputTokens: number; body: unknown }> => {
  const bearer = await tokenFor(modelsUrl);
  let response: Response;
  try {
    response = await fetch(`${modelsUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: alias, messages: [{ role: 'user', content: prompt }], max_tokens: maxTokens }),
      signal: AbortSignal.timeout(answerWithinMs),
      redirect: 'error',
    });
  } catch {
    throw noPlatform(place);
  }
  const body = (await response.json().catch(() => ({}))) as Completion;
  const text = body.choices?.[0]?.message?.content;
  if (!response.ok || typeof text !== 'string') {
    const { message = `The gateway answered HTTP ${response.status} without an answer`, code = 'model_unavailable' } = body.error ?? {};
    throw new CliError(message, { code, exitCode: exitCodeOf(code), next: 'quarterdeck model ls' });
  }
  return { text, inputTokens: body.usage?.prompt_tokens ?? 0, outputTokens: body.usage?.completion_tokens ?? 0, body };
};
