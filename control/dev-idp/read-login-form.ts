import type { IncomingMessage } from 'node:http';

const mostBytes = 4_096;

/** Reads the form of the login page; undefined for anything else. */
export const readLoginForm = async (request: IncomingMessage): Promise<{ person: string; password: string } | undefined> => {
  if (!/^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '')) return undefined;
  let text = '';
  for await (const chunk of request as AsyncIterable<Buffer>) {
    text += chunk.toString('utf8');
    if (text.length > mostBytes) return undefined;
  }
  const form = new URLSearchParams(text);
  const [person, password] = [form.get('person'), form.get('password')];
  return person && password ? { person, password } : undefined;
};
