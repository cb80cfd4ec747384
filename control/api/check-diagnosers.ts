import type { Tenancy } from '../../schema/ids.ts';
import type { Kind, Resource, StoredResource } from '../../schema/resource.ts';
import type { ToolsetServer } from '../../schema/resources/toolset.ts';
import type { Executor } from '../../store/database.ts';
import type { Definition } from '../../store/definition.ts';
import { isUsable, listDefinitions } from '../../store/definitions.ts';
import { keyOf } from './check-documents.ts';
import type { DocumentIssue } from './document-issue.ts';

const mostNamed = 5;

const isTaken = ({ tools, hide }: ToolsetServer, name: string): boolean =>
  tools !== 'none' && (tools === 'all' || tools.includes(name)) && !hide.includes(name);

/** Tools of a toolset that may be used and were not vetted as read-only, as `server/tool`. A server that was never looked at offers none yet. */
const writingTools = (servers: readonly ToolsetServer[], definitions: readonly Definition[]): string[] =>
  servers.flatMap((server) =>
    definitions
      .filter(
        (definition) =>
          definition.kind === 'tool' &&
          definition.server === server.name &&
          isUsable(definition) &&
          !definition.readOnly &&
          isTaken(server, definition.name),
      )
      .map(({ name }) => `${server.name}/${name}`),
  );

/**
 * Refuses a target whose role for diagnoses may use anything that is not vetted as read-only, and a change of the role or its toolset that
 * would make it so. Policy keeps such tools from a diagnosis in any case; here its author hears of it before the first fault.
 */
export const checkDiagnosers = async (
  database: Executor,
  wanted: readonly Resource[],
  stored: ReadonlyMap<string, StoredResource>,
): Promise<DocumentIssue[]> => {
  const kinds: ReadonlySet<Kind> = new Set(['ReconcileTarget', 'AgentRole', 'Toolset']);
  if (!wanted.some(({ kind }) => kinds.has(kind))) return [];
  const now = new Map<string, Resource>([
    ...stored,
    ...wanted.map((resource) => [keyOf(resource.kind, resource.metadata), resource] as const),
  ]);
  const find = <K extends Kind>(kind: K, { org, project }: Tenancy, name: string) =>
    now.get(keyOf(kind, { org, project, name })) as Extract<Resource, { kind: K }> | undefined;
  const definitionsOf = new Map<string, Promise<Definition[]>>();

  const issues: DocumentIssue[] = [];
  for (const target of now.values()) {
    if (target.kind !== 'ReconcileTarget' || !target.spec.escalation.role) continue;
    const role = find('AgentRole', target.metadata, target.spec.escalation.role);
    const toolset = role?.spec.toolset ? find('Toolset', target.metadata, role.spec.toolset) : undefined;
    if (!role || !toolset) continue;
    // what nobody changes now is not held against what somebody else changes
    const documents = ([target, role, toolset] as const).map((resource) => wanted.indexOf(resource));
    const document = documents.find((index) => index >= 0);
    if (document === undefined) continue;
    const { org, project } = target.metadata;
    const place = `${org}/${project}`;
    const definitions = definitionsOf.get(place) ?? listDefinitions(database, { org, project });
    definitionsOf.set(place, definitions);
    const writing = writingTools(toolset.spec.servers, await definitions);
    if (writing.length === 0) continue;
    const named = writing.slice(0, mostNamed).join(', ') + (writing.length > mostNamed ? ` and ${writing.length - mostNamed} more` : '');
    const message = `the role ${role.metadata.name} diagnoses for the target ${target.metadata.name}, so it may only read; its toolset ${toolset.metadata.name} has ${named}, not vetted as read-only. Narrow it by \`tools\` or \`hide\`, or give the role a toolset of its own`;
    const path =
      document === documents[0] ? ['spec', 'escalation', 'role'] : document === documents[1] ? ['spec', 'toolset'] : ['spec', 'servers'];
    issues.push({ document, path, message });
  }
  return issues;
};
