import type { ProposableOperation } from '../../../schema/reconcile/operation.ts';
import type { Proposal } from '../../../schema/reconcile/plan.ts';
import { expertOfPlatform } from './expert-platform.ts';
import type { Evidence } from './read-evidence.ts';

type Answer = Proposal | undefined;
type Ref = ProposableOperation['object'];

const propose = (diagnosis: string, confidence: number, ...operations: ProposableOperation[]): Proposal => ({
  diagnosis,
  confidence,
  operations,
});

const refOfState = (state: Evidence['seen']): Ref => ({
  apiVersion: state.apiVersion,
  kind: state.kind,
  namespace: state.metadata.namespace ?? '',
  name: state.metadata.name,
});

const containersOf = (state: Evidence['seen']): Evidence['seen'][] =>
  state?.spec?.template?.spec?.containers ?? (state?.kind === 'Pod' ? state.spec?.containers : undefined) ?? [];
const repositoryOf = (image: string): string => image.replace(/@.*$/, '').replace(/:[\w.-]+$/, '');
/** The container that a symptom names, or the only one. */
const containerIn = (state: Evidence['seen'], text: string): Evidence['seen'] => {
  const name = /container ([\w-]+):/.exec(text)?.[1];
  return containersOf(state).find((one) => one.name === name) ?? containersOf(state)[0];
};
const ofKind = ({ around }: Evidence, kind: string): Evidence['seen'][] => [...around.values()].filter((state) => state?.kind === kind);

/** The last image of the same repository that something beside it runs, by its digest. */
const lostImage = (evidence: Evidence, text: string, object: Ref): Answer => {
  if (!/ImagePullBackOff/.test(text) || /401|unauthorized/i.test(text)) return undefined;
  const container = containerIn(evidence.seen, text);
  const good = [...evidence.around.values()]
    .flatMap(containersOf)
    .map(({ image }) => String(image))
    .find((image) => image.includes('@sha256:') && image !== container?.image && repositoryOf(image) === repositoryOf(container.image));
  return good === undefined
    ? undefined
    : propose('The declared image cannot be pulled; one of the same repository runs beside it.', 0.9, {
        op: 'setImage',
        object,
        container: container.name,
        image: good,
      });
};

const expiredSecret = ({ seen }: Evidence, text: string, object: Ref): Answer => {
  const name = seen?.spec?.template?.spec?.imagePullSecrets?.[0]?.name;
  if (!/ImagePullBackOff/.test(text) || !/401|unauthorized/i.test(text) || !name) return undefined;
  const secret = { apiVersion: 'v1', kind: 'Secret', namespace: object.namespace, name };
  return propose('The registry refuses the pull secret.', 0.9, { op: 'refreshSecret', object: secret });
};

const renamedKey = (evidence: Evidence, text: string, object: Ref): Answer => {
  const [, key, name] = /couldn't find key ([\w.-]+) in Secret [\w.-]+\/([\w.-]+)/.exec(text) ?? [];
  if (key === undefined || name === undefined) return undefined;
  const secret = ofKind(evidence, 'Secret').find(({ metadata }) => metadata.name === name);
  const known = Object.keys(secret?.data ?? {}).filter((other) => other.toLowerCase().includes(key.toLowerCase()));
  const container = containerIn(evidence.seen, text);
  const variable = container?.env?.find(
    (one: Evidence['seen']) => one.valueFrom?.secretKeyRef?.name === name && one.valueFrom.secretKeyRef.key === key,
  );
  if (known.length !== 1 || !variable)
    return propose('A key is gone.', 0.5, {
      op: 'askOwner',
      object,
      question: `Which key of the Secret ${name} took the place of ${key}?`,
    });
  return propose('The key was renamed.', 0.85, {
    ...{ op: 'setSecretKey', object, container: container.name, variable: variable.name, secret: name, key: known[0] as string },
  });
};

const outOfMemory = ({ seen }: Evidence, text: string, object: Ref): Answer => {
  if (!/OOMKilled/.test(text)) return undefined;
  const container = containerIn(seen, text);
  const [, number, unit] = /^(\d+)(Mi|Gi)$/.exec(container?.resources?.limits?.memory ?? '') ?? [];
  if (number === undefined) return undefined;
  const more = Math.floor(Number(number) * (unit === 'Gi' ? 1024 : 1) * 1.25);
  return propose('It needs more memory.', 0.8, { op: 'setResources', object, container: container.name, memoryLimit: `${more}Mi` });
};

const blockedDns = (evidence: Evidence, text: string): Answer => {
  if (!/lookup \S+ on [\d.]+:53/.test(text)) return undefined;
  const labels = evidence.seen?.spec?.template?.metadata?.labels ?? {};
  const policy = ofKind(evidence, 'NetworkPolicy').find(
    ({ spec }) =>
      spec.policyTypes?.includes('Egress') &&
      Object.entries(spec.podSelector?.matchLabels ?? {}).every(([name, value]) => labels[name] === value),
  );
  if (!policy) return undefined;
  return propose('Its network policy does not let it look up names.', 0.9, {
    op: 'addEgressRule',
    object: refOfState(policy),
    to: { namespaceLabels: { 'kubernetes.io/metadata.name': 'kube-system' }, podLabels: { 'k8s-app': 'kube-dns' } },
    ports: [
      { port: 53, protocol: 'UDP' },
      { port: 53, protocol: 'TCP' },
    ],
  });
};

const missingRight = (evidence: Evidence, text: string): Answer => {
  const [, verb, resource, apiGroup] = /cannot (\w+) resource "([\w.-]+)" in API group "([\w.-]*)"/.exec(text) ?? [];
  const role = ofKind(evidence, 'Role')[0];
  if (verb === undefined || resource === undefined || apiGroup === undefined || !role) return undefined;
  return propose('Its role lacks one right.', 0.85, {
    op: 'addRoleRule',
    object: refOfState(role),
    apiGroup,
    resources: [resource],
    verbs: [verb],
  });
};

const deafProbe = ({ seen }: Evidence, text: string, object: Ref): Answer => {
  if (!/^(NotReady|Unhealthy)/.test(text)) return undefined;
  const container = containersOf(seen).find(({ readinessProbe }) => readinessProbe?.httpGet ?? readinessProbe?.tcpSocket);
  const asked = (container?.readinessProbe?.httpGet ?? container?.readinessProbe?.tcpSocket)?.port;
  const other = container?.ports?.map(({ containerPort }: Evidence['seen']) => containerPort).find((port: number) => port !== asked);
  if (other === undefined) return undefined;
  return propose('The probe asks where nobody listens.', 0.7, {
    op: 'setProbe',
    object,
    container: container.name,
    probe: 'readiness',
    port: other,
  });
};

const noRoom = (_: Evidence, text: string, object: Ref): Answer =>
  /^(Unschedulable|QuotaExceeded)/.test(text)
    ? propose('There is no room for its pods.', 0.9, { op: 'wait', object, seconds: 300 })
    : undefined;

const noClass = (_: Evidence, text: string, object: Ref): Answer =>
  /storageclass|ProvisioningFailed/i.test(text)
    ? propose('There is no such class of storage, and a claim cannot be changed.', 0.9, {
        op: 'askOwner',
        object,
        question: 'The class of storage is not there. May a new claim of another class be made, and the data copied?',
      })
    : undefined;

const bySymptom = [expiredSecret, lostImage, renamedKey, outOfMemory, blockedDns, missingRight, deafProbe, noRoom, noClass];

/** Who waits for a finalizer, waits for whoever serves it. */
const stuckDeletion = ({ seen }: Evidence, object: Ref): Answer => {
  const [finalizer] = seen?.metadata?.finalizers ?? [];
  return finalizer && propose('Who serves its finalizer does not run.', 0.9, { op: 'reviveController', object, finalizer });
};

type Earlier = { state: string; operations: ProposableOperation[] };
const earlierFixes = ({ items }: Evidence): Earlier[] =>
  items.filter(({ what }) => what === 'earlier-fix').map(({ text }) => JSON.parse(text));

/** A mark that is another one at each look, whatever was applied: somebody writes it on the way. Of what a workload does there is none. */
const endlessMark = ({ items }: Evidence, object: Ref): Answer => {
  const [only, ...others] = items.filter(({ what }) => what === 'drift').map(({ text }) => JSON.parse(text));
  if (only === undefined || others.length > 0 || !/\/(annotations|labels)\/[^/]+$/.test(only.path)) return undefined;
  return propose('Somebody writes another value at each apply.', 0.8, { op: 'addIgnoreRule', object, path: only.path });
};

/** What was tried and did not help is not tried again. */
const whatDidNotHelp = (evidence: Evidence, object: Ref): Answer => {
  const failed = earlierFixes(evidence).find(({ state }) => state === 'ineffective' || state === 'rolled-back');
  if (!failed) return undefined;
  const tried = failed.operations.map(({ op }) => op).join(', ');
  return propose('What was declared does not come up.', 0.6, {
    op: 'askOwner',
    object,
    question: `It was tried (${tried}) and did not help. Is what is declared right?`,
  });
};

/** What somebody who knows the field would propose: a function of the evidence and of nothing else. */
export const expert = (evidence: Evidence): Proposal => {
  const ofPlatform = expertOfPlatform(evidence);
  if (ofPlatform) return ofPlatform;
  const [kind = '', ...names] = evidence.object.split('/');
  const state = evidence.seen ?? evidence.declared;
  const object: Ref = state?.metadata
    ? refOfState(state)
    : { apiVersion: 'v1', kind, namespace: names.length > 1 ? (names[0] as string) : '', name: names.at(-1) as string };
  if (evidence.kind === 'deleting') {
    const answer = stuckDeletion(evidence, object);
    if (answer) return answer;
  }
  if (evidence.kind === 'changed' && earlierFixes(evidence).length > 0) {
    const answer = endlessMark(evidence, object) ?? whatDidNotHelp(evidence, object);
    if (answer) return answer;
  }
  for (const text of evidence.symptoms)
    for (const find of bySymptom) {
      const answer = find(evidence, text, object);
      if (answer) return answer;
    }
  if (evidence.kind === 'missing' || evidence.kind === 'changed')
    return whatDidNotHelp(evidence, object) ?? propose('It is not as declared.', 0.7, { op: 'reapply', object });
  return propose('The evidence does not say what is wrong.', 0.2, { op: 'askOwner', object, question: 'What is wrong with it?' });
};
