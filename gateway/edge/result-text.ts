import { metaKeys } from '../../schema/mcp-revisions.ts';
import { gatewayInfo } from '../mcp/gateway-info.ts';
import { type JsonObject, objectAt, type RequestId } from '../mcp/message.ts';

const ownMeta = `"_meta":${JSON.stringify({ [metaKeys.serverInfo]: gatewayInfo })}`;
const complete = '"resultType":"complete"';

/**
 * A result as modern clients read it, as text: with a `resultType`, and in `_meta` who answers, which is this gateway, whatever server
 * was behind it. What is missing is put in front of the text, so that a large result is not copied once more.
 * @param serverInfo - who answers, where more is known than the gateway's name
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic#resulttype
 */
export const resultText = (id: RequestId, result: JsonObject, serverInfo?: JsonObject): string => {
  let added = result.resultType === undefined ? complete : '';
  let shown = result;
  if (result._meta === undefined && serverInfo === undefined) added += added === '' ? ownMeta : `,${ownMeta}`;
  else shown = { ...result, _meta: { ...objectAt(result, '_meta'), [metaKeys.serverInfo]: serverInfo ?? gatewayInfo } };
  const rest = JSON.stringify(shown);
  const body = added === '' ? rest : rest === '{}' ? `{${added}}` : `{${added},${rest.slice(1)}`;
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${body}}`;
};
