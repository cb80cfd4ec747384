import type { ArgumentFacts } from '../../policy/argument-facts.ts';
import { uriFacts } from '../../policy/uri-facts.ts';
import { isUsable } from '../../store/definitions.ts';
import { type Decision, decide, newDecisionId } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject } from '../mcp/message.ts';
import type { Principal } from '../principal.ts';
import type { McpServer, UpstreamPool } from '../upstream/upstream-pool.ts';
import { callerOf } from './caller-of.ts';
import { resourceTarget } from './decide-listing.ts';
import type { Exposed, Source } from './exposed.ts';
import type { LiveResource, LiveResources } from './live-resources.ts';
import { mappedUri, parseMappedUri } from './map-uris.ts';
import { matchesPatterns } from './match-patterns.ts';
import { matchesTemplate } from './match-template.ts';
import { resolveFacts } from './resolve-facts.ts';
import { spellUris, type View, viewOf } from './view.ts';
import { createVisibleResources, templatesFor } from './visible-resources.ts';

/** A resource of one source, under the URI that the caller sees. */
export type ListedResource = { source: Source; uri: string; exposed: string; live: LiveResource };
/** What the caller sees of all sources, and whose list could not be had. */
export type Listing = { resources: readonly ListedResource[]; offered: number; missing: readonly Source[] };

/** Where a URI leads: the server and its own URI, and the templates of that server that it fits. */
export type Located = {
  source: Source;
  uri: string;
  templates: readonly Exposed[];
  /** Whether one of the templates is on the caller's lists: then the URI is an argument that the caller chose. */
  isByTemplate: boolean;
  decision: Decision;
};

export type NotLocated = { source?: undefined; uri?: undefined; decision: Decision };

/** Characters; what is longer names nothing here. */
const longestUri = 8192;

type AnyRequest = Omit<ClientRequest, 'notify' | 'ask'>;

/** Whether a source may have resources at all; a server that nobody has asked yet may. */
const mayHave = (pool: UpstreamPool, { server, part }: Source): boolean => {
  if (part.resources === 'none') return false;
  const facts = pool.factsOf(server);
  return !facts || isObject(facts.capabilities.resources);
};

/**
 * Which resources an endpoint has for a caller, and where a URI leads: to the server that lists it, else to the one whose template it
 * fits, else to the only one that has resources. What two servers call the same has two URIs here.
 */
export const createResourceDirectory = ({ context, pool, live }: { context: GatewayContext; pool: UpstreamPool; live: LiveResources }) => {
  const visibleIn = createVisibleResources(context);

  const mayList = (principal: Principal, view: View, source: Source, uri: string): boolean =>
    matchesPatterns(source.part.resources, uri) &&
    decide(context, { principal, action: 'listResource', ...resourceTarget(source, uri, templatesFor(view, source, uri)) }).effect ===
      'allow';

  /** What a server had before it stopped answering still holds its URIs (`isThere: false`), so that nobody else gets them meanwhile. */
  const spelled = async (request: AnyRequest, view: View) => {
    const { principal } = request;
    const missing: Source[] = [];
    let offered = 0;
    const lists = await Promise.all(
      view.sources
        .filter((source) => mayHave(pool, source))
        .map(async (source) => {
          const answer = await live.of(source.server, request);
          if (answer.ok) offered += answer.list.resources.length;
          else missing.push(source);
          const list = answer.ok ? answer.list : answer.last;
          const visible = list ? await visibleIn(principal, view, source, list) : [];
          return visible.map((resource) => ({ source, uri: resource.uri, live: resource, isThere: answer.ok }));
        }),
    );
    return { resources: spellUris(lists.flat()), offered, missing };
  };

  /** The source that lists a URI, whoever may see it. */
  const hiddenIn = async (request: AnyRequest, sources: readonly Source[], uri: string): Promise<Source | undefined> => {
    const lists = await Promise.all(sources.map(({ server }) => live.of(server, request)));
    return sources.find((_source, index) => {
      const answer = lists[index];
      return answer?.ok && answer.list.resources.some((resource) => resource.uri === uri);
    });
  };

  /** Whether a URI is there only by templates that are not as they were approved. */
  const isWithheld = async (request: AnyRequest, { server, tenancy }: Source, uri: string): Promise<boolean> => {
    const templates = context.declared().definitionsOf(tenancy, server.metadata.name, 'template');
    const fitting = templates.filter(({ name }) => matchesTemplate(name, uri));
    if (fitting.length === 0 || fitting.some(isUsable)) return false;
    const answer = await live.of(server, request);
    return !answer.ok || !answer.list.resources.some((resource) => resource.uri === uri);
  };

  /** The source that a URI of the caller's leads to, and the URI there. */
  const find = async (request: AnyRequest, view: View, given: string): Promise<{ source: Source; uri: string } | undefined> => {
    const sources = view.sources.filter((source) => mayHave(pool, source));
    const mapped = parseMappedUri(given);
    const named = mapped && sources.find(({ key }) => key === mapped.key);
    if (mapped && named) return (await isWithheld(request, named, mapped.uri)) ? undefined : { source: named, uri: mapped.uri };
    const [only] = sources;
    if (only && sources.every(({ server }) => server.uid === only.server.uid))
      return (await isWithheld(request, only, given))
        ? undefined
        : { source: sources.find((source) => mayList(request.principal, view, source, given)) ?? only, uri: given };
    const { resources } = await spelled(request, view);
    const listed = resources.find(({ exposed }) => exposed === given);
    if (listed) return listed;
    const fitting = view.templates.filter(
      ({ part, pinned }) => matchesTemplate(pinned.name, given) && matchesPatterns(part.resources, given),
    );
    const template = fitting.find(view.sees);
    if (template) return { source: template, uri: given };
    // nothing that the caller may know of: what it would be is for the audit
    const hidden = (await hiddenIn(request, sources, given)) ?? fitting[0];
    return hidden && { source: hidden, uri: given };
  };

  /** Asks in vain what is asked of a URI that is there and that the caller may not see: the time that it takes tells nothing. */
  const unknown = (principal: Principal, { sources, templates }: View, uri: string): Decision => {
    const source = templates.find(({ pinned }) => matchesTemplate(pinned.name, uri)) ?? sources.find((each) => mayHave(pool, each));
    if (source) decide(context, { principal, action: 'listResource', ...resourceTarget(source, uri, []) });
    return nothing();
  };
  const nothing = (): Decision => ({ effect: 'deny', policies: [], advice: [], decisionId: newDecisionId() });

  const findResource = async (request: AnyRequest, given: string): Promise<Located | NotLocated> => {
    if (given.length > longestUri || !given.isWellFormed()) return { decision: nothing() };
    const { principal, endpoint } = request;
    const view = viewOf(context, principal, endpoint);
    const found = await find(request, view, given);
    if (!found || !matchesPatterns(found.source.part.resources, found.uri)) return { decision: unknown(principal, view, given) };
    const { source, uri } = found;
    const templates = templatesFor(view, source, uri);
    const target = resourceTarget(source, uri, templates);
    const seenAtAll = decide(context, { principal, action: 'listResource', ...target });
    if (seenAtAll.effect === 'deny') return { decision: seenAtAll };
    const decision = decide(context, { principal, action: 'readResource', ...target, facts: 'any' });
    return decision.effect === 'deny' ? { decision } : { source, uri, templates, isByTemplate: templates.some(view.sees), decision };
  };

  /** What policies see of a URI; what a path leads to is known where the server runs. */
  const factsOf = async (request: AnyRequest, server: McpServer, uri: string): Promise<ArgumentFacts | undefined> => {
    const facts = uriFacts(uri);
    const connection = facts.paths.length > 0 ? await pool.connect(server, callerOf(request)) : {};
    return (await resolveFacts(server, connection, [facts]))[0];
  };

  return {
    /** @throws {PlatformError} `not_found`, `conflict` */
    list: async (request: AnyRequest): Promise<Listing> => {
      const { resources, ...rest } = await spelled(request, viewOf(context, request.principal, request.endpoint));
      return { resources: resources.filter(({ isThere }) => isThere), ...rest };
    },

    /**
     * Where a URI leads, by table and as far as policy says without a look at what the URI names: whoever reads asks again.
     * @returns without `source` what does not exist for this caller, and the decision that says why
     * @throws {PlatformError} `not_found`, `conflict`
     */
    findResource,

    /**
     * The same for who does not read: without `source` also what the caller may not read at the moment.
     * @throws {PlatformError} `not_found`, `conflict`, `server_unavailable`
     */
    locate: async (request: AnyRequest, given: string): Promise<Located | NotLocated> => {
      const located = await findResource(request, given);
      if (!located.source) return located;
      const { source, uri, templates } = located;
      const facts = await factsOf(request, source.server, uri);
      const asked = { principal: request.principal, action: 'readResource', ...resourceTarget(source, uri, templates) };
      const decision = decide(context, { ...asked, facts: { arguments: facts ?? null } });
      return decision.effect === 'deny' ? { decision } : { ...located, decision };
    },

    /** How the caller names a URI of a source; the same URI where it leads back there by itself. */
    expose: async (request: AnyRequest, source: Source, uris: ReadonlySet<string>): Promise<(uri: string) => string> => {
      const view = viewOf(context, request.principal, request.endpoint);
      const sources = view.sources.filter((candidate) => mayHave(pool, candidate));
      if (uris.size === 0 || sources.every(({ server }) => server.uid === source.server.uid)) return (uri) => uri;
      const owners = await Promise.all([...uris].map(async (uri) => [uri, await find(request, view, uri)] as const));
      const leadsBack = new Set(
        owners.flatMap(([uri, owner]) => (owner?.source.server.uid === source.server.uid && owner.uri === uri ? [uri] : [])),
      );
      return (uri) => (leadsBack.has(uri) ? uri : mappedUri(source.key, uri));
    },
  };
};
export type ResourceDirectory = ReturnType<typeof createResourceDirectory>;
