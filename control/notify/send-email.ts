import { isIP } from 'node:net';
import { createTransport } from 'nodemailer';
import type { ChannelSpec } from '../../schema/resources/channel.ts';
import type { ChannelNetwork } from './channel-fetch.ts';
import { type ChannelMessage, plainText } from './channel-message.ts';

const withinMs = 10_000;
/** A line of a header ends a header. */
const oneLine = (text: string): string => text.replaceAll(/[\r\n\t]+/g, ' ');

/**
 * Mails a message with its link. What is told later about the same is an answer to the first mail, so that mail programs show them together.
 * @param options.id - of the delivery: the same mail has the same id at each try
 * @throws when the mail server does not take it, or does not encrypt where that is asked for
 * @see https://www.rfc-editor.org/rfc/rfc5321
 */
export const sendEmail = async (
  { smtp, from, to }: Extract<ChannelSpec, { type: 'email' }>,
  message: ChannelMessage,
  { id, password, network }: { id: string; password: string | undefined; network: ChannelNetwork },
): Promise<null> => {
  const { isHere } = network.checkHost(smtp.host);
  const address = await network.resolve(smtp.host);
  if (smtp.tls === 'none' && !isHere) throw new Error('mail without encryption is for this machine alone');
  const domain = from.slice(from.lastIndexOf('@') + 1);
  const thread = message.approval ? `<${message.approval.id}@${domain}>` : undefined;
  const transport = createTransport({
    // to the address that was checked; the certificate is still that of the name
    host: address,
    ...(isIP(smtp.host) === 0 ? { tls: { servername: smtp.host } } : {}),
    port: smtp.port,
    secure: smtp.tls === 'required',
    requireTLS: smtp.tls === 'starttls',
    ignoreTLS: smtp.tls === 'none',
    ...(smtp.user === undefined ? {} : { auth: { user: smtp.user, pass: password ?? '' } }),
    connectionTimeout: withinMs,
    greetingTimeout: withinMs,
    socketTimeout: withinMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    await transport.sendMail({
      from,
      to,
      subject: oneLine(message.title),
      text: plainText(message),
      messageId: message.event === 'approval' && thread ? thread : `<${id}@${domain}>`,
      ...(message.event !== 'approval' && thread ? { inReplyTo: thread, references: thread } : {}),
      headers: { 'auto-submitted': 'auto-generated' },
    });
  } finally {
    transport.close();
  }
  return null;
};
