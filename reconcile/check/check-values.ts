import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import { compareState, pointerAcross } from '../compare-state.ts';
import { isEqualJson, valueAt } from '../json-pointer.ts';
import { judgeUndeclared } from '../judge-undeclared.ts';
import { readQuantity } from '../quantity.ts';
import { type CheckFacts, containerPointer, type Fault, secretsOf } from './check-facts.ts';
import { checkEgress, checkRole } from './check-openings.ts';
import { checkPlatform } from './check-platform.ts';
import { isGuardedField } from './guarded-fields.ts';

const fault = (code: string, message: string): Fault => ({ code, message });
type Of<Op extends ProposableOperation['op']> = Extract<ProposableOperation, { op: Op }>;

const imagePattern = /^([^@\s]+?)(?::[\w][\w.-]{0,127})?@sha256:[0-9a-f]{64}$/;
const repositoryOf = (image: string): string => image.replace(/@.*$/, '').replace(/:[\w.-]+$/, '');

const checkImage = ({ object, container, image }: Of<'setImage'>, facts: CheckFacts): Fault => {
  const match = imagePattern.exec(image);
  if (match === null) return fault('mutable_image', `${image} names no digest: what a tag means can change.`);
  const state = facts.declared(object)?.state;
  const at = containerPointer(state, container);
  const declared = at === undefined ? undefined : valueAt(state, `${at}/image`);
  if (typeof declared !== 'string') return fault('unknown_container', `No container ${container} with an image is declared.`);
  return repositoryOf(declared) === match[1]
    ? undefined
    : fault('foreign_image', `${image} is not of ${repositoryOf(declared)}, which is declared.`);
};

/** Numbers that may be moved within bounds, beside going back to what is declared. */
const patchable: readonly { kinds: readonly string[]; path: RegExp; least: number; most: number }[] = [
  { kinds: ['Deployment', 'DaemonSet', 'StatefulSet'], path: /^\/spec\/minReadySeconds$/, least: 0, most: 600 },
  { kinds: ['Deployment'], path: /^\/spec\/progressDeadlineSeconds$/, least: 60, most: 3600 },
  {
    kinds: ['Deployment', 'DaemonSet', 'StatefulSet'],
    path: /^\/spec\/template\/spec\/containers\/\d+\/ports\/\d+\/containerPort$/,
    least: 1,
    most: 65_535,
  },
  { kinds: ['Service'], path: /^\/spec\/ports\/\d+\/targetPort$/, least: 1, most: 65_535 },
];

const checkPatch = ({ object, path, value }: Of<'patchField'>, facts: CheckFacts): Fault => {
  // the path is one of what is seen: an item is declared where one of its name is, not where its index points
  const [declared, seen] = [facts.declared(object)?.state, facts.seen(object)?.state];
  const across = seen === undefined ? path : pointerAcross(seen, declared, path);
  const wanted = across === undefined ? undefined : valueAt(declared, across);
  if (wanted !== undefined && isEqualJson(wanted, value)) return undefined;
  const isWithin = patchable.some(
    ({ kinds, path: pattern, least, most }) =>
      kinds.includes(object.kind) &&
      pattern.test(path) &&
      typeof value === 'number' &&
      Number.isInteger(value) &&
      value >= least &&
      value <= most,
  );
  return isWithin ? undefined : fault('field_not_allowed', `${path} of ${object.kind} may only go back to what is declared.`);
};

const checkRemoval = ({ object, paths }: Of<'removeUndeclared'>, { declared, seen, target, holds, nowMs }: CheckFacts): Fault => {
  const [wanted, found] = [declared(object), seen(object)];
  const { added } = wanted && found ? judgeUndeclared({ ignore: target.spec.ignore, holds, nowMs }, wanted, found) : { added: [] };
  const odd = paths.find((path) => !added.some((one) => one.path === path));
  return odd === undefined
    ? undefined
    : fault('field_not_allowed', `${odd} of ${object.name} is declared, let be, or not there: only what somebody added is taken away.`);
};

const scaledKinds: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'ReplicaSet']);
const restartedKinds: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'DaemonSet']);

const checkScale = ({ object, replicas }: Of<'scale'>, facts: CheckFacts): Fault => {
  if (!scaledKinds.has(object.kind)) return fault('wrong_kind', `A ${object.kind} has no replicas.`);
  const declared = valueAt(facts.declared(object)?.state, '/spec/replicas') ?? 1;
  if (replicas < 1) return fault('scales_to_nothing', 'Nothing is scaled to zero to mend it.');
  return replicas <= Number(declared)
    ? undefined
    : fault('scales_past_declared', `${replicas} replicas are more than the ${declared} declared.`);
};

const raisedTooFar = (before: unknown, declared: unknown, after: string): boolean => {
  const [now, first, next] = [before, declared, after].map((text) => (typeof text === 'string' ? readQuantity(text) : undefined));
  if (now === undefined || next === undefined) return true;
  // a quarter more at once, and twice in all
  return next < now || next > now * 1.25 || next > (first ?? now) * 1.5625;
};

const checkResources = ({ object, container, memoryLimit, cpuLimit }: Of<'setResources'>, facts: CheckFacts): Fault => {
  if (memoryLimit === undefined && cpuLimit === undefined) return fault('says_nothing', 'Neither memory nor processor time is named.');
  const [state, wanted] = [facts.seen(object)?.state, facts.declared(object)?.state];
  const [at, declaredAt] = [containerPointer(state, container), containerPointer(wanted, container)];
  if (at === undefined || declaredAt === undefined) return fault('unknown_container', `No container ${container} is declared and seen.`);
  const limits = [
    ['memory', memoryLimit],
    ['cpu', cpuLimit],
  ] as const;
  const far = limits.find(
    ([name, value]) =>
      value !== undefined &&
      raisedTooFar(valueAt(state, `${at}/resources/limits/${name}`), valueAt(wanted, `${declaredAt}/resources/limits/${name}`), value),
  );
  return (
    far &&
    fault(
      'limit_out_of_bounds',
      `${far[0]} of ${container} may grow by a quarter, twice in all, and is never lowered or lifted; ${far[1]} is not that.`,
    )
  );
};

const checkProbe = ({ object, container, probe, port }: Of<'setProbe'>, facts: CheckFacts): Fault => {
  const state = facts.declared(object)?.state;
  const at = containerPointer(state, container);
  if (at === undefined || valueAt(state, `${at}/${probe}Probe`) === undefined)
    return fault('unknown_probe', `No ${probe} probe of ${container} is declared.`);
  const ports = valueAt(state, `${at}/ports`);
  const isKnown = Array.isArray(ports) && ports.some((one) => valueAt(one, '/containerPort') === port);
  return isKnown ? undefined : fault('unknown_port', `${container} declares no port ${port}: a probe there would prove nothing.`);
};

const checkSecretKey = ({ object, container, variable, secret, key }: Of<'setSecretKey'>, facts: CheckFacts): Fault => {
  const state = facts.declared(object)?.state;
  const at = containerPointer(state, container);
  const variables = at === undefined ? undefined : valueAt(state, `${at}/env`);
  const declared = Array.isArray(variables) ? variables.find((one) => valueAt(one, '/name') === variable) : undefined;
  if (valueAt(declared, '/valueFrom/secretKeyRef/name') !== secret)
    return fault('foreign_secret', `${variable} is not declared to come from the secret ${secret}.`);
  const held = [...facts.observation.objects, ...facts.observation.neighbours].find(
    ({ ref }) => ref.kind === 'Secret' && ref.namespace === object.namespace && ref.name === secret,
  );
  const keys = valueAt(held?.state, '/data') ?? valueAt(held?.state, '/keys');
  const isThere = Array.isArray(keys) ? keys.includes(key) : typeof keys === 'object' && keys !== null && Object.hasOwn(keys, key);
  return isThere ? undefined : fault('unknown_key', `The secret ${secret} is not seen to have the key ${key}.`);
};

const checkRefresh = ({ object }: Of<'refreshSecret'>, facts: CheckFacts): Fault => {
  const isUsed = facts.desired.objects.some(
    ({ ref, state }) => ref.namespace === object.namespace && secretsOf(state).includes(object.name),
  );
  return object.kind === 'Secret' && (isUsed || facts.declared(object) !== undefined)
    ? undefined
    : fault('foreign_secret', `${object.name} is no secret that anything declared here uses.`);
};

const checkClaim = ({ object, copyFrom, size }: Of<'createClaim'>, facts: CheckFacts): Fault => {
  const old = facts.declared({ ...object, name: copyFrom });
  if (object.kind !== 'PersistentVolumeClaim' || old === undefined)
    return fault('unknown_object', `No claim ${copyFrom} is declared to copy from.`);
  if (facts.seen(object) !== undefined || object.name === copyFrom)
    return fault('claim_exists', `${object.name} is there already: no claim is replaced.`);
  const [before, after] = [valueAt(old.state, '/spec/resources/requests/storage'), size].map((text) =>
    typeof text === 'string' ? readQuantity(text) : undefined,
  );
  return before !== undefined && after !== undefined && after >= before && after <= before * 2
    ? undefined
    : fault('limit_out_of_bounds', `${size} is less than the old claim, or more than twice of it.`);
};

const checkIgnore = ({ object, path }: Of<'addIgnoreRule'>, facts: CheckFacts): Fault => {
  if (isGuardedField(path)) return fault('wide_ignore', `${path} is too much, or a guard, to look away from.`);
  const differs = compareState(facts.declared(object)?.state, facts.seen(object)?.state).some((one) => one.path === path);
  return differs ? undefined : fault('wide_ignore', `${path} does not differ by itself: there is nothing to ignore there.`);
};

const checkPrune = ({ object }: Of<'prune'>, facts: CheckFacts): Fault => {
  const { spec } = facts.target;
  if (spec.type !== 'kubernetes' || !spec.prune || facts.desired.objects.length === 0)
    return fault('prune_off', 'This target prunes nothing.');
  if (facts.declared(object) !== undefined)
    return fault('still_declared', `${object.name} is declared: what is declared is never deleted.`);
  if (
    ['PersistentVolumeClaim', 'PersistentVolume', 'Secret', 'Namespace', 'StatefulSet', 'CustomResourceDefinition', 'McpServer'].includes(
      object.kind,
    )
  )
    return fault('deletes_data', `A ${object.kind} holds what nothing brings back.`);
  return facts.seen(object)?.isOurs === true ? undefined : fault('not_ours', `${object.name} was not made by us.`);
};

/** What the values of one operation may be: the closed set. The object itself is checked before. */
export const checkValues = (operation: ProposableOperation, facts: CheckFacts): Fault => {
  switch (operation.op) {
    case 'setImage':
      return checkImage(operation, facts);
    case 'patchField':
      return checkPatch(operation, facts);
    case 'removeUndeclared':
      return checkRemoval(operation, facts);
    case 'scale':
      return checkScale(operation, facts);
    case 'restart':
      return restartedKinds.has(operation.object.kind)
        ? undefined
        : fault('wrong_kind', `A ${operation.object.kind} has no pods of its own that could be made anew.`);
    case 'setResources':
      return checkResources(operation, facts);
    case 'setProbe':
      return checkProbe(operation, facts);
    case 'setSecretKey':
      return checkSecretKey(operation, facts);
    case 'refreshSecret':
      return checkRefresh(operation, facts);
    case 'addEgressRule':
      return checkEgress(operation, facts);
    case 'addRoleRule':
      return checkRole(operation);
    case 'createClaim':
      return checkClaim(operation, facts);
    case 'addIgnoreRule':
      return checkIgnore(operation, facts);
    case 'prune':
      return checkPrune(operation, facts);
    case 'reviveController': {
      const finalizers = valueAt(facts.seen(operation.object)?.state, '/metadata/finalizers');
      return Array.isArray(finalizers) && finalizers.includes(operation.finalizer)
        ? undefined
        : fault('unknown_finalizer', `${operation.object.name} does not wait for ${operation.finalizer}.`);
    }
    case 'act': {
      const { spec } = facts.target;
      const isDeclared =
        spec.type === 'mcp' && spec.actions.some(({ name, of }) => name === operation.action && of === operation.object.name);
      return isDeclared
        ? undefined
        : fault('unknown_action', `The target declares no action ${operation.action} of ${operation.object.name}.`);
    }
    case 'reapply':
      return facts.declared(operation.object) === undefined
        ? fault('unknown_object', `${operation.object.name} is not declared.`)
        : undefined;
    default:
      return checkPlatform(operation, facts);
  }
};
