import type { FlowLabel } from '../../schema/flow-label.ts';
import type { ServerFlow } from '../../schema/resources/mcp-server.ts';
import { matchesPatterns } from '../surface/match-patterns.ts';
import type { McpServer } from '../upstream/upstream-pool.ts';

/** What a tool, prompt or resource gives out, and what it may be given. `reads` is what its caller carries from then on. */
export type Flow = { sink: boolean; maxSecrecy: number; reads: FlowLabel };

/** What of a server something is, under the server's own name, with the hints that were approved with it. */
type FlowItem = { kind: 'tool'; name: string; readOnly: boolean; openWorld: boolean } | { kind: 'prompt' | 'resource'; name: string };

type Rule = Pick<ServerFlow, 'secrecy' | 'source' | 'sink' | 'maxSecrecy'>;

const ruleOf = (flow: ServerFlow, { kind, name }: FlowItem): Rule => {
  switch (kind) {
    case 'tool':
      return flow.tools[name] ?? {};
    case 'prompt':
      return flow.prompts[name] ?? {};
    case 'resource':
      return flow.resources.findLast(({ uri }) => matchesPatterns([uri], name)) ?? {};
  }
};

/**
 * What is not declared is the careful one. A tool that reaches the open world gives out what strangers wrote, and so does a resource, which nobody
 * vets. Whatever reaches the open world, or changes something, takes things out: the world may be given nothing but what is public, a place of
 * our own what is no more secret than what it gives out.
 */
export const flowOf = ({ metadata: { org, project, name: server }, spec }: McpServer, item: FlowItem): Flow => {
  const { flow } = spec;
  const rule = flow ? ruleOf(flow, item) : {};
  const isTool = item.kind === 'tool';
  const secrecy = rule.secrecy ?? flow?.secrecy ?? 0;
  const source = rule.source ?? flow?.source ?? (isTool ? item.openWorld : item.kind === 'resource');
  const sink = rule.sink ?? flow?.sink ?? (isTool && (item.openWorld || !item.readOnly));
  const maxSecrecy = rule.maxSecrecy ?? flow?.maxSecrecy ?? (isTool && !item.openWorld ? (flow?.secrecy ?? 0) : 0);
  const from = `${org}/${project}/${server}/${item.kind}/${item.name}`.slice(0, 512);
  const sources = secrecy > 0 || source ? [{ from, secrecy, tainted: source }] : [];
  return { sink, maxSecrecy, reads: { secrecy, tainted: source, sources } };
};
