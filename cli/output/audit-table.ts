import type { AuditEvent } from '../../schema/audit-event.ts';
import { renderTable } from './table.ts';
import { formatDuration } from './units.ts';

/** `run_1/read/reader/0`: what of an agent's id the other columns do not say. */
const agentText = (agent: string | null): string => agent?.split('/').slice(3).join('/') ?? '';

/** Paths and hosts of the arguments, as the policy saw them. */
const factsText = ({ facts }: AuditEvent): string =>
  [facts.paths, facts.hosts, facts.change]
    .flat()
    .filter((fact) => typeof fact === 'string')
    .join(' ');

const head = ['TIME', 'AGENT', 'ROLE', 'FLEET', 'PROJECT', 'PERSON', 'ACTION', 'TARGET', 'FACTS', 'DECISION', 'OUTCOME', 'TOOK'];

const cells = (event: AuditEvent): string[] => [
  event.at.slice(0, 23).replace('T', ' '),
  agentText(event.agent) || (event.run ?? ''),
  event.role ?? '',
  event.fleet ?? '',
  event.project,
  event.person ?? '',
  event.action,
  event.tool ?? event.model ?? event.resource ?? '',
  factsText(event),
  event.decision,
  event.errorCode ? `${event.outcome}:${event.errorCode}` : event.outcome,
  event.durationMs === null ? '' : formatDuration(event.durationMs),
];

export const auditTable = (events: AuditEvent[]): string => renderTable(head, events.map(cells));

/** Rows that follow others: without the head. */
export const auditRows = (events: AuditEvent[]): string => renderTable(head, events.map(cells)).split('\n').slice(1).join('\n');
