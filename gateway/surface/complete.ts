import { type LexicalFacts, lexicalFacts } from '../../policy/argument-facts.ts';
import { uriFacts } from '../../policy/uri-facts.ts';
import { PlatformError } from '../../schema/errors.ts';
import { decide } from '../decide.ts';
import { exchangeWithServer } from '../exchange/exchange-with-server.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { flowFacts, flowReason } from '../labels/flow-facts.ts';
import type { Flow } from '../labels/flow-of.ts';
import { flowOfItem, flowOfResource } from '../labels/flow-of-item.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, type JsonObject, type Reply, textOf } from '../mcp/message.ts';
import { callTimeouts } from '../tool-call/call-timeouts.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import { callerOf } from './caller-of.ts';
import { resourceTarget, type Target, targetOf } from './decide-listing.ts';
import { expandTemplate } from './expand-template.ts';
import { argumentsOf, type Exposed, type Source } from './exposed.ts';
import { unmapArguments } from './map-uris.ts';
import { matchesPatterns } from './match-patterns.ts';
import { maskReply } from './present-result.ts';
import { recordUse, type Use, withinRates } from './record-use.ts';
import { argumentRefused, unknownPrompt, unknownResource } from './refuse.ts';
import { resolveFacts } from './resolve-facts.ts';
import type { ResourceDirectory } from './resource-directory.ts';
import { type View, viewOf } from './view.ts';
import { templatesFor } from './visible-resources.ts';

/** The specification's own limit. */
const maxValues = 100;

/** What is completed, all that is known of its arguments, and which of them is being written. */
type Asked = { name: string; values: Readonly<Record<string, string>> };
/** What the completion is about, and what policy is asked of it once its server is there. */
type Reference = {
  source: Source;
  ref: { type: 'ref/prompt'; name: string } | { type: 'ref/resource'; uri: string };
  /** The prompt or template; it has to be offered as it was approved. */
  item?: Exposed;
  /** As the server gets them. */
  values: Readonly<Record<string, string>>;
  facts: LexicalFacts;
  action: 'getPrompt' | 'readResource';
  /** What it gives out, and what it may be told. */
  flow: Flow;
  /** Whether the toolset leaves out what the values lead to. */
  isLeftOut: boolean;
  target(isolation: number): Target;
};

const empty: Reply = { kind: 'result', result: { completion: { values: [] } } };

const bounded = (reply: Reply): Reply => {
  if (reply.kind === 'error') return reply;
  const { completion } = reply.result;
  if (!isObject(completion) || !Array.isArray(completion.values)) return empty;
  const values = completion.values.filter((value) => typeof value === 'string');
  const isCut = values.length > maxValues;
  return {
    kind: 'result',
    result: { ...reply.result, completion: { ...completion, values: values.slice(0, maxValues), ...(isCut ? { hasMore: true } : {}) } },
  };
};

const areTexts = (given: JsonObject): given is Record<string, string> =>
  Object.values(given).every((value) => typeof value === 'string' && value.isWellFormed());

/** @throws {PlatformError} `request_invalid` */
const readAsked = ({ argument, context = {} }: JsonObject): Asked => {
  if (!isObject(argument) || typeof argument.name !== 'string' || typeof argument.value !== 'string' || !argument.value.isWellFormed())
    throw new PlatformError('request_invalid', 'Invalid params: `argument` has `name` and `value`, which are strings.');
  const { arguments: given = {} } = isObject(context) ? context : {};
  if (!isObject(given) || !areTexts(given)) throw new PlatformError('request_invalid', 'Invalid params: `context.arguments` are strings.');
  return { name: argument.name, values: { ...given, [argument.name]: argument.value } };
};

/** What is begun with nothing names nothing yet. */
const written = (values: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));

const together = (a: LexicalFacts, b: LexicalFacts): LexicalFacts => ({
  paths: [...new Set([...a.paths, ...b.paths])].sort(),
  urls: [...new Set([...a.urls, ...b.urls])].sort(),
  hosts: [...new Set([...a.hosts, ...b.hosts])].sort(),
  canonical: a.canonical && b.canonical,
  bytes: a.bytes + b.bytes,
});

const ofPrompt = (item: Exposed, { values }: Asked): Reference => {
  const own = argumentsOf(item, values) as Record<string, string>;
  return {
    source: item,
    ref: { type: 'ref/prompt', name: item.pinned.name },
    item,
    values: own,
    facts: lexicalFacts(written(own)),
    action: 'getPrompt',
    flow: flowOfItem(item),
    isLeftOut: false,
    target: (isolation) => targetOf(item, isolation),
  };
};

/** A template with its values is the resource that it would lead to; values that it has no place for are judged as they are. */
const ofResource = (view: View, source: Source, uri: string, { values }: Asked, item?: Exposed): Reference => {
  const own = unmapArguments(source.key, values) as Record<string, string>;
  const given = written(own);
  const { uri: named, unused } = expandTemplate(uri, given);
  const isNamed = item === undefined || Object.keys(given).length > Object.keys(unused).length;
  const rest = lexicalFacts(unused);
  const templates = [...new Set([...(item ? [item] : []), ...templatesFor(view, source, named)])];
  return {
    source,
    ref: { type: 'ref/resource', uri },
    ...(item ? { item } : {}),
    values: own,
    facts: isNamed ? together(uriFacts(named), rest) : rest,
    action: 'readResource',
    flow: item && !isNamed ? flowOfItem(item) : flowOfResource(source, named),
    isLeftOut: isNamed && !matchesPatterns(source.part.resources, named),
    target: (isolation) => (item && !isNamed ? targetOf(item, isolation) : resourceTarget(source, named, templates, isolation)),
  };
};

/**
 * Answers `completion/complete` for a prompt or template that is on the caller's lists, from the server that has it; a server without
 * completions has none to offer. What the arguments name is judged as it would be by `prompts/get` or `resources/read`.
 * @throws {PlatformError} `prompt_unknown`, `resource_unknown`, `argument_refused`, `request_invalid`, and what `pool.connect` and
 *   `exchangeWithServer` throw
 */
export const createComplete = ({
  context,
  pool,
  directory,
}: {
  context: GatewayContext;
  pool: UpstreamPool;
  directory: ResourceDirectory;
}) => {
  const findReference = async (request: ClientRequest, ref: JsonObject, asked: Asked, use: Use): Promise<Reference> => {
    const view = viewOf(context, request.principal, request.endpoint);
    if (ref.type === 'ref/prompt' && typeof ref.name === 'string') {
      use.name = `Prompt/${ref.name}`;
      const { item, decision } = view.find('prompt', ref.name);
      use.decision = decision;
      if (!item) throw unknownPrompt(ref.name, decision);
      return ofPrompt(item, asked);
    }
    if (ref.type === 'ref/resource' && typeof ref.uri === 'string') {
      const { uri } = ref;
      use.name = `Resource/${uri}`;
      const template = view.list('template').find(({ name }) => name === uri);
      if (template) return ofResource(view, template, template.pinned.name, asked, template);
      const located = await directory.findResource(request, uri);
      use.decision = located.decision;
      if (!located.source) throw unknownResource(uri, located.decision);
      return ofResource(view, located.source, located.uri, asked);
    }
    throw new PlatformError(
      'request_invalid',
      'Invalid params: `ref` is neither a `ref/prompt` with `name` nor a `ref/resource` with `uri`.',
    );
  };

  return (request: ClientRequest): Promise<Reply> => {
    const use: Use = { action: 'complete', name: '', startedAt: context.now() };
    return recordUse(context, request, use, async () => {
      const { ref } = request.params;
      if (!isObject(ref)) throw new PlatformError('request_invalid', 'Invalid params: `ref` is missing or no object.');
      const asked = readAsked(request.params);
      const {
        source,
        ref: own,
        item,
        values,
        facts: lexical,
        action,
        flow,
        isLeftOut,
        target,
      } = await findReference(request, ref, asked, use);
      const { server } = source;
      use.source = source;
      if (isLeftOut) return empty;
      const connection = await pool.connect(server, callerOf(request));
      use.isolation = connection.isolation;
      if (connection.capabilities.completions === undefined) return empty;
      const named = textOf(ref.name ?? ref.uri);
      // between the table and now the server may have begun to offer another one
      if (item && connection.offered.get(`${item.pinned.kind}/${item.pinned.name}`) !== item.pinned.approvedHash) {
        const decision =
          use.decision ?? decide(context, { principal: request.principal, action, ...target(connection.isolation), facts: 'any' });
        throw own.type === 'ref/prompt' ? unknownPrompt(named, decision) : unknownResource(named, decision);
      }
      const [facts] = await resolveFacts(server, connection, [lexical]);
      use.facts = facts;
      const carried = await context.labels.of(request.principal, flow.sink);
      use.decision = decide(context, {
        principal: request.principal,
        action,
        ...target(connection.isolation),
        facts: { arguments: facts ?? null, ...flowFacts(carried) },
      });
      if (use.decision.effect === 'deny') throw argumentRefused(named, use.decision, flowReason(use.decision, carried));
      await context.labels.join(request.principal, flow.reads);
      const { [asked.name]: value = '', ...others } = values;
      const exchange = {
        gateway: context,
        pool,
        request,
        server,
        connection,
        method: 'completion/complete',
        params: {
          ref: own,
          argument: { name: asked.name, value },
          ...(Object.keys(others).length > 0 ? { context: { arguments: others } } : {}),
        },
        timeouts: callTimeouts(server),
        mask: source.mask,
      };
      const reply = await withinRates(context, request, server, () => exchangeWithServer(exchange));
      use.masked = {};
      return maskReply(source, bounded(reply), use.masked);
    });
  };
};
