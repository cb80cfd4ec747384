import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PlatformPolicies } from '../../policy/assemble-policies.ts';
import { decideAgain } from '../../policy/decide-again.ts';
import { basisOf, partsOf, type StoredBundle } from '../../policy/decision-record.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import type { Known } from '../../policy/known.ts';
import { recordContext, recordedContext } from '../../policy/recorded-context.ts';
import { entityMap } from '../../policy/slice-entities.ts';
import { parseBasis } from '../../schema/decision-basis.ts';
import { home, knownRequest, policiesOf, requestArbitrary, rulesArbitrary } from '../support/reference-cases.ts';

const throughDatabase = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

test('a decision is made again from nothing but its record, to the same verdict by the same policies', () => {
  fc.assert(
    fc.property(rulesArbitrary, fc.array(requestArbitrary, { minLength: 8, maxLength: 8 }), (rules, requests) => {
      const engine = createPolicyEngine();
      expect(engine.load(home, policiesOf(rules))).toEqual({ ok: true });
      for (const request of requests) {
        const asked = knownRequest(request);
        const decision = engine.decideKnown(home, asked);
        const recordable = { ...decision, asked };
        const stored = new Map(throughDatabase(partsOf(recordable)).map(({ digest, value }) => [digest, value]));
        const row = throughDatabase({ run: null, basis: basisOf(recordable), facts: recordContext(asked.context, null) });

        const basis = parseBasis(row.basis);
        if (!basis) throw new Error('there is no basis');
        const bundle = stored.get(basis.policies) as StoredBundle;
        const platform = stored.get(bundle.platform) as PlatformPolicies;
        const known = (digest: string) => stored.get(digest) as Known;
        const [principal, resource] = [known(basis.principal), known(basis.resource)];
        const again = decideAgain(
          { tenancy: bundle, project: bundle, platform },
          {
            principal: principal.uid,
            action: basis.action,
            resource: resource.uid,
            context: recordedContext(basis.action, row),
            entities: [...entityMap(known(basis.surroundings).entities, principal.entities, resource.entities).values()],
          },
        );
        expect(basis.effect).toBe(decision.effect);
        expect(again).toMatchObject({ ok: true, effect: decision.effect, policies: decision.policies });
      }
    }),
    { numRuns: 12 },
  );
}, 120_000);

test('a record repeats neither what is usual nor the query of a URL', () => {
  const who = { hasHuman: true, run: 'run_1' };
  const facts = { paths: ['/a'], roots: [], urls: ['https://a.test/x?key=secret#part'], hosts: ['a.test'], canonical: true, bytes: 3 };
  expect(recordContext({ who, arguments: facts }, 'run_1')).toEqual({
    paths: ['/a'],
    hosts: ['a.test'],
    bytes: 3,
    urls: ['https://a.test/x?…'],
  });
  const alone = { who: { hasHuman: false, run: 'run_1' }, maxTokens: 5 };
  const recorded = recordContext(alone, 'run_1');
  expect(recorded).toEqual({ context: alone });
  expect(recordedContext('invokeModel', { run: 'run_1', facts: recorded })).toEqual(alone);
});
