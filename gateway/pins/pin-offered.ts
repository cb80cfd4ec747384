import type { StoredResource } from '../../schema/resource.ts';
import type { ObservedDefinition } from '../../store/definition.ts';
import { type DefinitionKind, recordDefinitions } from '../../store/definitions.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { judgeDefinitions } from './judge-definitions.ts';
import { observeDefinition } from './observe-definition.ts';

/** What a server answered to its lists, all pages together; a kind is absent when it gave no answer, so that nothing is known of it. */
export type Offered = Partial<Record<DefinitionKind, readonly unknown[]>>;

type McpServer = StoredResource<'McpServer'>;
type ObservedOfKind = readonly [DefinitionKind, readonly ObservedDefinition[]];

/** Whether this is, to the byte, what the newest view of the database says: then there is nothing to ask of the database. */
const isKnown = ({ declared }: Pick<GatewayContext, 'declared'>, { metadata, generation }: McpServer, [kind, observed]: ObservedOfKind) => {
  const known = declared().definitionsOf(metadata, metadata.name, kind);
  const hashes = new Map(known.filter(({ currentHash }) => currentHash !== '').map((row) => [row.name, row]));
  return (
    declared().seenAt(metadata, metadata.name, kind) === generation &&
    hashes.size === observed.length &&
    observed.every(({ name, hash }) => {
      const row = hashes.get(name);
      return row?.currentHash === hash && row.approvedGeneration === generation;
    })
  );
};

const observe = (offered: Offered): ObservedOfKind[] =>
  (Object.entries(offered) as [DefinitionKind, readonly unknown[]][]).map(([kind, all]) => [
    kind,
    all.map((each) => observeDefinition(kind, each)).filter((each) => each !== undefined),
  ]);

const hashesIn = (observed: readonly ObservedOfKind[]): ReadonlyMap<string, string> =>
  new Map(observed.flatMap(([kind, all]) => all.map((each) => [`${kind}/${each.name}`, each.hash] as const)));

/** The hash of each definition, by `kind/name`. */
export const hashesOf = (offered: Offered): ReadonlyMap<string, string> => hashesIn(observe(offered));

/**
 * Compares what a server offers with its pins, and writes down what is new, changed or gone; agents go on seeing the pinned bytes alone.
 * A kind that the server has not (no such capability) is given as an empty list: what it begins to offer later waits for a person.
 * @returns the hash of each definition as it is now, by `kind/name`
 * @throws {PlatformError} `store_unavailable`
 */
export const pinOffered = async (
  context: Pick<GatewayContext, 'database' | 'config' | 'declared'>,
  server: McpServer,
  offered: Offered,
): Promise<ReadonlyMap<string, string>> => {
  const observed = observe(offered);
  const { org, project, name } = server.metadata;
  if (!observed.every((each) => isKnown(context, server, each)))
    await recordDefinitions(
      context.database,
      { org, project, server: name, generation: server.generation },
      Object.fromEntries(observed),
      // in production a person looks at everything first (design §5)
      { approvesFirstSight: context.config.profile !== 'production', judge: judgeDefinitions },
    );
  return hashesIn(observed);
};
