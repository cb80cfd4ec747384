import { Client, Connection } from '@temporalio/client';
import { ruleCatalogue } from '../../reconcile/rules/catalogue.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import type { CaseOutcome } from './cases/run-case.ts';
import type { BreakableInstallation, Installation } from './installation.ts';
import { keeperNeeds } from './keeper-resources.ts';
import type { ModelName, RealModel } from './model-names.ts';
import type { AgentScript } from './models/agent-scripts.ts';
import { employPeople } from './people.ts';
import { agentModel } from './platform-cases/agents-at-work.ts';
import { listTools } from './platform-cases/list-tools.ts';
import type { PlatformCase } from './platform-cases/platform-case.ts';
import { runPlatformCase } from './platform-cases/run-platform-case.ts';
import { createPlatformClient, keeperOf } from './platform-client.ts';
import { diagnosisSeconds, usesRules } from './played-case.ts';
import type { WrongFix } from './wrong-fixes/listed-fix.ts';

/** Plays cases of the platform on an installation, each in a project of its own that is its target's name too. */
export const openPlatformPlayer = async (
  installation: Installation,
  {
    breakable,
    modelsUrl,
    real,
    scripts,
    wrongs,
    keep,
    onLine,
  }: {
    breakable?: BreakableInstallation;
    modelsUrl: string;
    real: RealModel | undefined;
    /** Of agents at work, by the name that a route of a `Model` asks for. */
    scripts: Map<string, AgentScript>;
    wrongs: Map<string, () => WrongFix>;
    /** Writes a value into a file of the bench. @returns its path */
    keep: (name: string, value: string) => string;
    onLine: (text: string) => void;
  },
) => {
  const { apiUrl, gatewayUrl, issuerUrl, ownerToken, reviewers } = installation;
  const database = openDatabase({ url: installation.databaseUrl, max: 2, name: 'bench' });
  const connection = await Connection.connect({ address: installation.temporalAddress });
  const temporal = new Client({ connection });

  const play = async (each: PlatformCase, model: ModelName): Promise<CaseOutcome> => {
    const project = `${each.id.toLowerCase()}-${model}`;
    const clientOf = (token: string) => createPlatformClient({ apiUrl, token, project });
    const owner = clientOf(ownerToken);
    const people = reviewers.map(({ name, token }) => ({ name, client: clientOf(token) }));
    const [reviewer] = people;
    if (!reviewer) throw new Error('the bench has no reviewer');
    const undo: (() => unknown)[] = [];
    const right = each.right.operations?.() ?? [];
    const offered = (toolset: string) => listTools(`${gatewayUrl}/mcp/default/${project}/${toolset}`, ownerToken);
    const employed = employPeople(people, (target) => (target === project ? right : undefined), onLine);
    undo.push(employed.stop);
    try {
      await owner.apply({ kind: 'Project', metadata: { name: project }, spec: {} });
      await owner.apply(...keeperNeeds(modelsUrl, [model], real), agentModel(project));
      return await runPlatformCase(
        each,
        {
          ...{ project, owner, reviewer: reviewer.client, installation, breakable, database, temporal, wrongs },
          keeper: keeperOf(owner),
          sights: {
            ...{ client: owner, elsewhere: createPlatformClient({ apiUrl, token: ownerToken }), listTools: offered },
            ...{ jwksUri: `${issuerUrl}/jwks`, temporal },
          },
          listTools: offered,
          keep: (name, value) => keep(`${project}-${name}`, value),
          playAgents: (script) => scripts.set(`agent-${project}`, script),
          later: (step) => undo.push(step),
        },
        {
          role: `diagnose-${model}`,
          diagnosisSeconds: diagnosisSeconds(model),
          rulesOff: usesRules(model) ? [] : ruleCatalogue.map(({ name }) => name),
        },
      );
    } finally {
      await keeperOf(owner)
        .forget(project)
        .catch(() => undefined);
      for (const step of undo.toReversed()) await Promise.resolve(step()).catch(() => undefined);
    }
  };

  return {
    play,
    close: async (): Promise<void> => {
      await connection.close();
      await closeDatabase(database);
    },
  };
};
