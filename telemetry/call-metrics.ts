import { Counter, Histogram } from 'prom-client';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import type { Metrics } from './process-metrics.ts';

/** In seconds: from a call that is answered here to one that a person is waited for. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Of one metric. What comes beyond is counted together, as `_other`: whoever can make names up must not fill the memory with them. */
const mostSeries = 5_000;
const other = '_other';

type Labels = Record<string, string>;

/** Labels as they are, until there are too many of them. */
const createBound = (most: number) => {
  const seen = new Set<string>();
  return (labels: Labels): Labels => {
    const key = Object.values(labels).join('\n');
    if (seen.has(key)) return labels;
    if (seen.size < most) {
      seen.add(key);
      return labels;
    }
    return Object.fromEntries(Object.keys(labels).map((name) => [name, other]));
  };
};

/** Names that were found in what is declared; one that only the caller said is left out. */
const namesOf = ({ server, tool, model, outcome }: NewAuditEvent): Labels => ({
  server: server ?? '',
  tool: server ? (tool ?? '') : '',
  model: outcome === 'refused' ? '' : (model ?? ''),
});

/**
 * Counts calls as they are put on record, for Prometheus: how many, how long they took, and what models used. An intent is not counted, its
 * outcome is.
 * @returns takes each event once
 */
export const createCallMetrics = (registry: Metrics, { most = mostSeries }: { most?: number } = {}): ((event: NewAuditEvent) => void) => {
  const registers = [registry];
  const calls = new Counter({
    name: 'quarterdeck_calls_total',
    help: 'Calls by what was asked, of which server and tool or model, and how they ended.',
    labelNames: ['org', 'project', 'action', 'server', 'tool', 'model', 'outcome', 'code'],
    registers,
  });
  const durations = new Histogram({
    name: 'quarterdeck_call_duration_seconds',
    help: 'How long calls took, what is behind the gateway included.',
    labelNames: ['action', 'server', 'model', 'outcome'],
    buckets,
    registers,
  });
  const tokens = new Counter({
    name: 'quarterdeck_model_tokens_total',
    help: 'Tokens that models read (input) and wrote (output).',
    labelNames: ['org', 'project', 'model', 'direction'],
    registers,
  });
  const cost = new Counter({
    name: 'quarterdeck_model_cost_micro_usd_total',
    help: 'What calls of models cost, in millionths of a US dollar.',
    labelNames: ['org', 'project', 'model'],
    registers,
  });
  const boundCalls = createBound(most);
  const boundDurations = createBound(most);
  const boundModels = createBound(most);

  const countModel = ({ org, project, inputTokens, outputTokens, costMicroUsd }: NewAuditEvent, model: string): void => {
    const labels = boundModels({ org, project, model });
    if (inputTokens) tokens.inc({ ...labels, direction: 'input' }, inputTokens);
    if (outputTokens) tokens.inc({ ...labels, direction: 'output' }, outputTokens);
    if (costMicroUsd) cost.inc(labels, costMicroUsd);
  };

  return (event) => {
    if (event.kind === 'intent' || event.kind === 'change') return;
    const { org, project, action, outcome, errorCode, durationMs } = event;
    const names = namesOf(event);
    calls.inc(boundCalls({ org, project, action, ...names, outcome, code: errorCode ?? '' }));
    const { server = '', model = '' } = names;
    if (typeof durationMs === 'number') durations.observe(boundDurations({ action, server, model, outcome }), durationMs / 1000);
    if (model !== '') countModel(event, model);
  };
};
