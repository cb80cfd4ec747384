import { deploymentManifest, deploymentRef, type ReconcilePlace } from './reconcile-place.ts';

/** Deployments that a plan of four steps scales. */
export const fourSteps = ['a', 'b', 'c', 'd'];

/**
 * Makes the system of a new target, whose `web` hangs until the four beside it have one replica.
 * @returns the target's name, and what it is declared with
 */
export const hangingTarget = (place: ReconcilePlace, message = '') => {
  const target = place.newName();
  const world = place.worldOf(target);
  world.judgeBy(({ name }) => {
    const isMended = fourSteps.every((step) => world.stateOf(deploymentRef(`${target}-${step}`))?.spec.replicas === 1);
    return name.endsWith('-web') && !isMended
      ? { health: 'degraded', symptoms: [{ code: 'Stuck', message, count: 1 }] }
      : { health: 'healthy', symptoms: [] };
  });
  const declared = {
    manifests: ['web', ...fourSteps, 'e', 'f', 'g', 'h'].map((step) => deploymentManifest(`${target}-${step}`)),
    limits: { cooldownSeconds: 0, fixesPerHour: 100 },
    verification: { timeoutSeconds: 60, holdSeconds: 1 },
  };
  return { target, declared };
};
