import { type FlowLabel, joinLabels } from '../../schema/flow-label.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { flowOfResource } from '../labels/flow-of-item.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { JsonObject, Reply } from '../mcp/message.ts';
import { cacheHints, listResult } from './list-items.ts';
import { refuseIncomplete, warningsOf } from './outages.ts';
import type { Pager } from './page-list.ts';
import { type Listing, recordFailedListing, recordListing } from './record-listing.ts';
import type { ListedResource, ResourceDirectory } from './resource-directory.ts';
import { viewOf } from './view.ts';

const show = ({ live, exposed }: ListedResource): JsonObject => (exposed === live.uri ? live.resource : { ...live.resource, uri: exposed });

/** Names and descriptions come from the servers as they are: nobody has vetted them. What a list tells is not as secret as what it leads to. */
const readsOf = (resources: readonly ListedResource[]): FlowLabel => {
  const unvetted = new Set(
    resources.flatMap(({ source, live }) => (flowOfResource(source, live.uri).reads.tainted ? [source.server] : [])),
  );
  const labels = [...unvetted].map(({ metadata: { org, project, name } }): FlowLabel => {
    const from = `${org}/${project}/${name}/resources`;
    return { secrecy: 0, tainted: true, sources: [{ from, secrecy: 0, tainted: true }] };
  });
  return joinLabels(...labels);
};

/**
 * Answers `resources/list`: what the servers list at the moment and policy lets the caller see, in the order of the URIs. A server that
 * does not answer in time is left out with a warning, unless its toolset wants all or nothing.
 */
export const createListResources = ({
  context,
  directory,
  pageOf,
}: {
  context: GatewayContext;
  directory: ResourceDirectory;
  pageOf: Pager;
}) => {
  const answer = async (request: ClientRequest, listing: Listing): Promise<Reply> => {
    const { principal, endpoint, client, params, method } = request;
    const { resources, offered, missing } = await directory.list(request);
    refuseIncomplete(missing);
    if (context.labels.isUsed(principal)) await context.labels.join(principal, readsOf(resources));
    const items = resources.toSorted((a, b) => (a.exposed < b.exposed ? -1 : 1)).map(show);
    const page = pageOf(items, `${endpoint.path} ${method}`, params.cursor ?? undefined);
    recordListing(context, request, listing, { offered, listed: items.length });
    const warnings = missing.length > 0 ? warningsOf(viewOf(context, principal, endpoint), missing) : {};
    return listResult('resources', page, { ...cacheHints(client.era), ...warnings });
  };

  return async (request: ClientRequest): Promise<Reply> => {
    context.audit.assertWritable();
    const listing = { action: 'listResources', startedAt: context.now() };
    return answer(request, listing).catch((thrown: unknown) => {
      throw recordFailedListing(context, request, listing, thrown);
    });
  };
};
