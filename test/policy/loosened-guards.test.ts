import { expect, test } from 'vitest';
import { type Guarded, loosenedGuards } from '../../policy/loosened-guards.ts';
import { ProjectSpecSchema } from '../../schema/resources/project.ts';
import { shopTarget } from '../support/fix-to-decide.ts';

const project = (spec: object): Guarded => ({ kind: 'Project', spec: ProjectSpecSchema.parse(spec) });
const target = (spec: object): Guarded => ({ kind: 'ReconcileTarget', spec: shopTarget(spec) });
const reviewers = { approvers: ['role:reviewer'], count: 2, acr: 2 };
const usual = { approvers: ['role:administrator', 'role:reviewer'], count: 1, expiresInSeconds: 86_400 };
/** What an installation asks that asks nobody where nothing is said, and one that asks one other person. */
const [nobody, one] = [{ undeclared: undefined }, { undeclared: usual }];

test.each([
  ['fewer people', { ...reviewers, count: 1 }],
  ['a lesser login', { ...reviewers, acr: 1 }],
  ['somebody else as well', { ...reviewers, approvers: ['role:reviewer', 'person:mallory'] }],
  ['somebody else instead', { ...reviewers, approvers: ['person:mallory'] }],
  ['nobody any more', undefined],
])('an approval that asks %s is looser, of a project and of a target', (_what, after) => {
  const before = project({ approvals: { publication: reviewers, release: reviewers } });
  expect(loosenedGuards(before, project({ approvals: { publication: after, release: reviewers } }), nobody)).toEqual([
    'approvals.publication',
  ]);
  expect(loosenedGuards(target({ approval: reviewers }), target({ approval: after }), nobody)).toEqual(['approval']);
});

test.each([
  ['more people', { ...reviewers, count: 3 }],
  ['a better login', { ...reviewers, acr: 3 }],
  ['the same for longer', { ...reviewers, expiresInSeconds: 90_000 }],
])('an approval that asks %s is not', (_what, after) => {
  const before = project({ approvals: { definitions: reviewers } });
  expect(loosenedGuards(before, project({ approvals: { definitions: after } }), one)).toEqual([]);
  expect(loosenedGuards(target({ approval: reviewers }), target({ approval: after }), one)).toEqual([]);
});

test('what is said of approvals for the first time is held against what is so without', () => {
  const friend = project({ approvals: { publication: { approvers: ['person:friend'] } } });
  expect(loosenedGuards(project({}), friend, nobody)).toEqual([]);
  expect(loosenedGuards(project({}), friend, one)).toEqual(['approvals.publication']);
  expect(loosenedGuards(undefined, friend, one), 'of a project that was deleted before').toEqual(['approvals.publication']);
  expect(loosenedGuards(undefined, target({ approval: { approvers: ['person:friend'] } }), one)).toEqual(['approval']);
  expect(loosenedGuards(undefined, target({}), one)).toEqual([]);
});

test('to keep something for less long is looser, whatever was said before, and so is the end of a hold', () => {
  for (const field of ['auditDays', 'contentDays', 'decisionFactDays', 'outcomeDays']) {
    const kept = (days: number) => project({ retention: { [field]: days } });
    expect(loosenedGuards(kept(365), kept(364), nobody)).toEqual([`retention.${field}`]);
    expect(loosenedGuards(project({}), kept(3650), nobody), 'it was kept for good').toEqual([`retention.${field}`]);
    expect(loosenedGuards(undefined, kept(3650), nobody)).toEqual([`retention.${field}`]);
    expect(loosenedGuards(kept(364), kept(365), nobody)).toEqual([]);
    expect(loosenedGuards(kept(364), project({}), nobody)).toEqual([]);
  }
  expect(loosenedGuards(project({ retention: { hold: true } }), project({ retention: {} }), nobody)).toEqual(['retention.hold']);
});

test('so is what thaws a project or takes it out of production, and a target that is critical no more or may do what nothing undoes', () => {
  const strict = project({ frozen: true, environment: 'production' });
  expect(loosenedGuards(strict, project({ environment: 'staging' }), nobody)).toEqual(['frozen', 'environment']);
  expect(loosenedGuards(strict, undefined, nobody), 'deleted').toEqual(['frozen', 'environment']);
  const careful = target({ critical: true, approval: reviewers });
  expect(loosenedGuards(careful, target({ allow: ['irreversible-ok'], approval: reviewers }), nobody)).toEqual(['critical', 'allow']);
  expect(loosenedGuards(careful, undefined, nobody), 'deleted').toEqual(['approval', 'critical']);
  expect(loosenedGuards(careful, { ...careful }, nobody)).toEqual([]);
});
