import type { FuzzTarget } from './fuzz-target.ts';

/** A case that once failed, or that looks as if it could. `bytes` are latin1 characters; the target's values are filled in. */
export type Regression = { what: string; bytes: (target: FuzzTarget) => string };

const head = ({ port, token, path }: FuzzTarget, more: string, verb = 'POST', at = path): string =>
  `${verb} ${at} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n${more}`;
const modern = 'MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n';
const sized = (body: string): string => `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

/** Failing cases of a fuzz run are added here as the run prints them. */
export const regressions: readonly Regression[] = [
  { what: 'a target that no URL has (was a 500)', bytes: (target) => head(target, '\r\n', 'GET', '//') },
  { what: 'a host inside the target', bytes: (target) => head(target, '\r\n', 'GET', 'http://[') },
  { what: 'a body that is never finished', bytes: (target) => head(target, 'Content-Length: 10\r\n\r\n{"a"') },
  { what: 'a chunk of a size that is none', bytes: (target) => head(target, 'Transfer-Encoding: chunked\r\n\r\nzz\r\n{}') },
  { what: 'two framings at once', bytes: (target) => head(target, `Transfer-Encoding: chunked\r\n${sized('{}')}`) },
  { what: 'nothing at all in a body', bytes: (target) => head(target, sized('')) },
  { what: 'a million levels', bytes: (target) => head(target, sized('['.repeat(1_000_000))) },
  {
    what: 'keys that are parts of every object',
    bytes: (target) =>
      head(target, modern + sized('{"jsonrpc":"2.0","id":1,"method":"toString","params":{"__proto__":{"_meta":{}},"constructor":1}}')),
  },
  {
    what: '`_meta` of null',
    bytes: (target) => head(target, modern + sized('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":null}}')),
  },
  { what: 'an id that no number holds', bytes: (target) => head(target, sized('{"jsonrpc":"2.0","id":1e999,"method":"ping"}')) },
  {
    what: 'a number that no number holds, in a list in the place of a URI (was an internal error)',
    bytes: (target) => head(target, sized('{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":[null,45870548907816e+98]}}')),
  },
  {
    what: 'a name that is no text and cannot be made one',
    bytes: (target) => head(target, sized('{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":{"toString":1}}}')),
  },
  { what: 'half a surrogate', bytes: (target) => head(target, sized('{"jsonrpc":"2.0","id":"\\ud800","method":"\\udfff"}')) },
  { what: 'a batch of batches', bytes: (target) => head(target, sized('[[[]],null,7,"x"]')) },
  {
    what: 'an Upgrade that is none of ours',
    bytes: (target) => head(target, `Connection: Upgrade\r\nUpgrade: websocket\r\n${sized('{}')}`),
  },
];
