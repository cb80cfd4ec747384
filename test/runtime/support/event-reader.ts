import { until } from './host-harness.ts';

export type Message = {
  jsonrpc: '2.0';
  id?: string | number;
  method?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown> & { content?: { text: string }[] };
  error?: { code: number; message: string; data?: Record<string, unknown> };
};

/** Reads server-sent events as they come, or the one answer that came as JSON. */
export const readEvents = (response: Response) => {
  const messages: Message[] = [];
  let isOver = false;
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const read = async (): Promise<void> => {
    let rest = '';
    for (;;) {
      const chunk = await reader?.read();
      if (!chunk || chunk.done) return void (rest.startsWith('{') && messages.push(JSON.parse(rest)));
      const parts = (rest + chunk.value).split('\n\n');
      rest = parts.pop() ?? '';
      for (const part of parts) if (part.startsWith('event: message\n')) messages.push(JSON.parse(part.slice(part.indexOf('data: ') + 6)));
    }
  };
  void read()
    .catch(() => undefined)
    .then(() => {
      isOver = true;
    });
  /** Waits for a message of that method and returns it. */
  const next = async (method: string): Promise<Message> => {
    await until(() => messages.some((message) => message.method === method), `${method} arrives`);
    return messages.find((message) => message.method === method) as Message;
  };
  return { messages, methods: () => messages.map(({ method }) => method), next, isOver: () => isOver, leave: () => reader?.cancel() };
};
