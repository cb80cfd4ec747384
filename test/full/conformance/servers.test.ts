import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failuresIn, startFixtureFront } from '../../support/conformance/fixture-front.ts';
import { startLegacyFixture } from '../../support/conformance/legacy-server.ts';
import { startModernFixture } from '../../support/conformance/modern-server.ts';
import { type Check, runScenarios, scenariosOf } from '../../support/conformance/run-scenarios.ts';
import { baseline } from './baseline.ts';

/** A revision that clients speak, in front of a server of one era. */
type Cell = {
  name: string;
  startServer: () => Promise<{ url: string; close(): Promise<void> }>;
  parameters: string[];
  scenarios: string[];
};

const of2025 = scenariosOf('2025-11-25', 'server');
const of2026 = scenariosOf('2026-07-28', 'server');
/** Of 2025-06-18 the program has no list of its own: these came after it. */
const newIn2025November = ['json-schema-2020-12', 'elicitation-sep1034-defaults', 'elicitation-sep1330-enums', 'dns-rebinding-protection'];
const of2025June = of2025.filter((name) => !newIn2025November.includes(name) && !name.startsWith('server-sse'));

const cells: Cell[] = [
  {
    name: '2026-07-28 in front of a modern server',
    startServer: startModernFixture,
    parameters: ['--requirements', '2026-07-28'],
    scenarios: of2026,
  },
  {
    name: '2025-11-25 in front of a legacy server',
    startServer: startLegacyFixture,
    parameters: ['--requirements', '2025-11-25'],
    scenarios: of2025,
  },
  {
    name: '2025-06-18 in front of a legacy server',
    startServer: startLegacyFixture,
    parameters: ['--suite', 'all', '--spec-version', '2025-06-18'],
    scenarios: of2025June,
  },
  {
    name: '2026-07-28 in front of a legacy server',
    startServer: startLegacyFixture,
    parameters: ['--requirements', '2026-07-28'],
    scenarios: of2026,
  },
  {
    name: '2025-11-25 in front of a modern server',
    startServer: startModernFixture,
    parameters: ['--requirements', '2025-11-25'],
    scenarios: of2025,
  },
];

describe.each(cells)('conformance: $name', ({ name, startServer, parameters, scenarios }) => {
  let found = new Map<string, Check[]>();
  let front: Awaited<ReturnType<typeof startFixtureFront>>;

  beforeAll(async () => {
    front = await startFixtureFront(startServer);
    found = await runScenarios('server', ['--url', front.url, ...parameters]);
  }, 170_000);
  afterAll(() => front.close());

  test.each(scenarios)('%s', (scenario) => {
    const known = baseline.find((entry) => entry.cell === name && entry.scenario === scenario);
    const failures = failuresIn(found.get(scenario));
    if (known) expect(failures, `passes; take it out of the baseline (${known.reason})`).not.toEqual([]);
    else expect(failures).toEqual([]);
  });
});

test('each entry of the baseline names a cell and a scenario that there are', () => {
  const ofServers = baseline.filter(({ cell }) => !cell.startsWith('signs in at '));
  const strays = ofServers.filter(
    (entry) => !cells.some(({ name, scenarios }) => name === entry.cell && scenarios.includes(entry.scenario)),
  );
  expect(strays).toEqual([]);
});
