import { isObject, type JsonObject } from '../../gateway/mcp/message.ts';
import { plainText } from './plain-text.ts';

const binary = (what: string, { mimeType, data, blob }: JsonObject): string => {
  const bytes = Buffer.from(String(data ?? blob ?? ''), 'base64').length;
  return `[${what}${typeof mimeType === 'string' ? ` ${mimeType}` : ''}, ${bytes} bytes; -o json has them]`;
};

/** The contents of a resource for people. */
export const resourceText = (contents: JsonObject): string =>
  typeof contents.text === 'string' ? contents.text : binary('binary', contents);

/** What comes from elsewhere must not move the cursor of a person's terminal; in a pipe it passes as it is. */
export const forOutput = (text: string): string => (process.stdout.isTTY ? text.split('\n').map(plainText).join('\n') : text);

/** A block of content for people: text as it is, of anything else what it is. */
export const contentText = (block: unknown): string => {
  if (!isObject(block)) return JSON.stringify(block);
  switch (block.type) {
    case 'text':
      return String(block.text);
    case 'image':
    case 'audio':
      return binary(block.type, block);
    case 'resource_link':
      return `[resource ${String(block.uri)}]`;
    case 'resource':
      return isObject(block.resource) ? resourceText(block.resource) : '';
    default:
      return JSON.stringify(block);
  }
};
