import { preparsePolicySet, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import { assemblePolicies } from '../../policy/assemble-policies.ts';
import { personEntities } from '../../policy/caller-entities.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { entityUid, projectEntities } from '../../policy/entities.ts';
import type { Known, KnownRequest } from '../../policy/known.ts';
import { toolEntities } from '../../policy/toolset-entities.ts';
import { wholeContext } from '../../policy/whole-context.ts';
import { defaultTenancy as tenancy } from '../../schema/ids.ts';
import { benchGroup, benchPolicies } from './bench-resources.ts';
import { median, rounded } from './statistics.ts';

/** Microseconds of one decision: Cedar alone with everything parsed before, our engine when it has to ask Cedar, and when it need not. */
export type DecisionFigures = { cedarMicros: number; freshMicros: number; knownMicros: number; freshRatio: number; knownRatio: number };

const project = {
  policySets: [{ name: 'rules', cedar: benchPolicies }],
  bindings: [{ name: 'callers', spec: { subjects: [{ group: benchGroup }], toolsets: ['one'], models: [], agentRoles: [], fleets: [] } }],
};

const requestOf = (serial: number): KnownRequest => {
  const principal: Known = {
    uid: entityUid('User', 'default/bench'),
    entities: personEntities({ org: 'default', id: 'bench', groups: [benchGroup], roles: [], disabled: false }),
  };
  const facts = { readOnly: true, destructive: false, idempotent: true, openWorld: false, approvedHash: 'h', currentHash: 'h' };
  const place = { ...tenancy, server: 'echo-0', toolset: 'one', isolation: serial };
  const resource: Known = {
    uid: entityUid('Tool', 'default/default/echo-0/read'),
    entities: toolEntities({ ...place, ...facts, tool: 'read' }),
  };
  const surroundings: Known = {
    uid: entityUid('Project', 'default/default'),
    entities: projectEntities({ ...tenancy, environment: 'development', frozen: false }),
  };
  const context = {
    who: { hasHuman: true, run: '' },
    arguments: { paths: [], roots: [], urls: [], hosts: [], canonical: true, bytes: 40 },
  };
  return { principal, action: 'callTool', resource, surroundings, context };
};

let serial = 0;

const microsOf = (work: (serial: number) => unknown, seconds: number): number => {
  const startedAt = performance.now();
  let done = 0;
  while (performance.now() - startedAt < seconds * 1000)
    for (let index = 0; index < 20; index += 1) {
      serial += 1;
      done += 1;
      work(serial);
    }

  return ((performance.now() - startedAt) * 1000) / done;
};

/** Measures decisions on the bench's own policies, in this process. `seconds`: of each way. */
export const measureDecisions = ({ seconds }: { seconds: number }): DecisionFigures => {
  const engine = createPolicyEngine();
  const loaded = engine.load(tenancy, project);
  const assembled = assemblePolicies(tenancy, project);
  if (!loaded.ok || !assembled.ok) throw new Error(`the bench's policies are not valid: ${JSON.stringify(loaded)}`);
  preparsePolicySet('bench', assembled.set);
  const request = requestOf(0);
  const { principal, resource, surroundings, context } = request;
  const entities = [...surroundings.entities, ...principal.entities, ...resource.entities];
  const askCedar = () =>
    statefulIsAuthorized({
      principal: principal.uid,
      action: { type: 'Quarterdeck::Action', id: 'callTool' },
      resource: resource.uid,
      context: wholeContext('callTool', context),
      entities,
      preparsedSchemaName: 'quarterdeck',
      preparsedPolicySetId: 'bench',
      validateRequest: true,
    });
  const decided = engine.decideKnown(tenancy, request).effect;
  const answer = askCedar();
  if (answer.type === 'failure' || answer.response.decision !== decided || decided !== 'allow')
    throw new Error('the policy engine and Cedar decide differently');
  const ways = {
    cedar: askCedar,
    // a tool of another isolation each time: nothing of it was ever asked
    fresh: (serial: number) => engine.decideKnown(tenancy, requestOf(serial)),
    known: () => engine.decideKnown(tenancy, request),
  };
  const measured = { cedar: [] as number[], fresh: [] as number[], known: [] as number[] };
  // in turn, because WebAssembly is compiled twice, and better while it runs; the first rounds are not counted
  for (let round = 0; round < 9; round += 1)
    for (const name of ['cedar', 'fresh', 'known'] as const) {
      const micros = microsOf(ways[name], seconds / 9);
      if (round >= 4) measured[name].push(micros);
    }
  const [cedarMicros, freshMicros, knownMicros] = [median(measured.cedar), median(measured.fresh), median(measured.known)];
  return {
    cedarMicros: rounded(cedarMicros),
    freshMicros: rounded(freshMicros),
    knownMicros: rounded(knownMicros),
    freshRatio: rounded(freshMicros / cedarMicros),
    knownRatio: rounded(knownMicros / cedarMicros),
  };
};
