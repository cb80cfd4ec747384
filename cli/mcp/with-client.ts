import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { JsonObject } from '../../gateway/mcp/message.ts';
import type { Session } from '../client/session.ts';
import { plainText } from '../output/plain-text.ts';
import { say } from '../output/talk.ts';
import { askPerson } from './ask-person.ts';
import { clientError } from './client-error.ts';
import { endpointUrl } from './endpoint-url.ts';
import { askOnTerminal, isTerminal } from './terminal-asker.ts';

/**
 * Does something with a client of an endpoint, and ends it. What servers ask in between goes to the person at the terminal; without a
 * terminal it is declined. The client speaks the revision with sessions: in it every server can ask in the middle of a call.
 * @throws {CliError} whatever went wrong
 */
export const withClient = async <T>(
  { platform, tenancy }: Session,
  toolset: string | undefined,
  work: (client: Client) => Promise<T>,
): Promise<T> => {
  const client = new Client(
    { name: 'quarterdeck', version: '1' },
    { capabilities: { elicitation: { form: {}, url: {} } }, versionNegotiation: { mode: 'legacy' } },
  );
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    if (isTerminal()) return askPerson(params as JsonObject, askOnTerminal, say);
    say(`The server asks, and nobody is at a terminal; declined: ${plainText(params.message)}`);
    return { action: 'decline' };
  });
  client.setNotificationHandler('notifications/message', ({ params }) => {
    say(plainText(`${params.level}: ${typeof params.data === 'string' ? params.data : JSON.stringify(params.data)}`));
  });
  const url = endpointUrl(platform, tenancy, toolset);
  const token = await platform.tokenFor(url);
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { authorization: `Bearer ${token}` }, redirect: 'error' },
  });
  try {
    await client.connect(transport);
    return await work(client);
  } catch (error) {
    throw clientError(error, platform.place);
  } finally {
    await transport.terminateSession().catch(() => undefined);
    await client.close().catch(() => undefined);
  }
};
