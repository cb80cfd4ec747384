import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { pollUntil } from '../../support/poll-until.ts';
import { createSurveyPlace, type SurveyPlace } from '../../support/survey-place.ts';
import { playSurveyStep, surveyStepOf } from '../../support/survey-player.ts';

let place: SurveyPlace;
/** Readers ask for their card and are held here until the test lets them go: the run stands in its middle. */
let gate: { opened: Promise<void>; open: () => void };
let held = 0;

const newGate = () => {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  held = 0;
  return { opened, open };
};

beforeAll(async () => {
  gate = newGate();
  place = await createSurveyPlace(async (request) => {
    const step = surveyStepOf(request);
    if (step.role === 'reader' && step.results > 0) {
      held += 1;
      await Promise.race([gate.opened, request.left]);
    }
    return playSurveyStep(step, place.files);
  });
  await place.declare();
});
beforeEach(() => {
  gate = newGate();
});
afterAll(() => place.close());

/** Starts a survey and waits until readers are under way. */
const launchToTheMiddle = async (): Promise<string> => {
  const id = await place.launch();
  await pollUntil(() => held >= 2 || undefined, 'readers in the middle of their work', 60_000);
  return id;
};

const expectWhole = async (id: string): Promise<void> => {
  const run = await place.ended(id);
  expect(
    run.agents.filter((agent) => agent.state !== 'done').map(({ id: agent, state, reason, detail }) => ({ agent, state, reason, detail })),
  ).toEqual([]);
  expect(run.state).toBe('succeeded');
  const survey = place.survey(run);
  for (const file of place.files) expect(survey).toContain(`## ${file.replace('/input/', '')}`);
  const writes = (await place.audit(`run=${id}&tool=write_file`)).map(({ kind, outcome }) => `${kind} ${outcome}`);
  expect(writes).toEqual(['intent pending', 'outcome ok']);
};

test.each(['worker', 'gateway', 'host', 'postgres', 'temporal', 'control'])(
  'a survey survives %s being killed in its middle',
  async (name) => {
    const id = await launchToTheMiddle();
    const before = place.pidOf(name);
    process.kill(before, 'SIGKILL');
    await pollUntil(
      () => {
        const pid = place.pidOf(name);
        return pid !== 0 && pid !== before ? true : undefined;
      },
      `${name} to be started again`,
      60_000,
    );
    gate.open();
    await expectWhole(id);
  },
);

test('a survey survives the supervisor and all its processes being killed, and ends after the next start', async () => {
  const id = await launchToTheMiddle();
  for (const { pid } of place.status().processes) if (pid) process.kill(pid, 'SIGKILL');
  await pollUntil(() => place.stillRunning().length === 0 || undefined, 'everything to be gone');
  gate.open();
  await place.restart();
  await expectWhole(id);
});
