import fc from 'fast-check';
import { createPolicyEngine } from '../../policy/engine.ts';
import { home, knownRequest, policiesOf, requestArbitrary, rulesArbitrary } from './reference-cases.ts';
import { isForPeopleAlone, referenceDecision } from './reference-gate.ts';

const requestsOfRules = 100;

export type GateFigures = { requests: number; allowed: number; needingPerson: number; ruleSets: number };

/**
 * Asks the real engine and the reference gate the same random requests, under one random set of rules after another. Each request is asked
 * of the engine twice, the second time when it may remember, and once without its arguments, which may not refuse what is allowed with them.
 * @returns what was asked; a disagreement throws, with rules and request shrunk to the smallest
 */
export const compareGates = (requests: number, seed?: number): GateFigures => {
  const figures: GateFigures = { requests: 0, allowed: 0, needingPerson: 0, ruleSets: 0 };
  fc.assert(
    fc.property(rulesArbitrary, fc.array(requestArbitrary, { minLength: requestsOfRules, maxLength: requestsOfRules }), (rules, asked) => {
      const engine = createPolicyEngine({ name: 'compared' });
      const loaded = engine.load(home, policiesOf(rules));
      if (!loaded.ok) throw new Error(JSON.stringify(loaded.issues));
      figures.ruleSets += 1;
      for (const request of asked) {
        const known = knownRequest(request);
        const { effect, why } = referenceDecision(request, rules, home);
        for (const time of ['first', 'second']) {
          const decision = engine.decideKnown(home, known);
          if (decision.error && !(request.caller.kind === 'agent' && isForPeopleAlone(request.action))) throw new Error(decision.error);
          if (decision.effect !== effect)
            throw new Error(
              `the ${time} time the engine says ${decision.effect} (${decision.policies.join(', ')}), the reference ${effect} (${why}): ${JSON.stringify(request)} under ${JSON.stringify(policiesOf(rules))}`,
            );
        }
        if (effect !== 'deny' && engine.decideKnown(home, { ...known, forAnyArguments: true }).effect === 'deny')
          throw new Error(
            `${effect} with its arguments, and refused without any: ${JSON.stringify(request)} under ${JSON.stringify(policiesOf(rules))}`,
          );
        figures.requests += 1;
        if (effect === 'allow') figures.allowed += 1;
        if (effect === 'needsPerson') figures.needingPerson += 1;
      }
    }),
    { numRuns: Math.ceil(requests / requestsOfRules), endOnFailure: true, ...(seed === undefined ? {} : { seed }) },
  );
  return figures;
};
