import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';

export type Check = { id: string; status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO'; errorMessage?: string };

const packageFolder = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'));
const program = join(packageFolder, 'dist/index.js');

type Requirements = { server: string[]; client: string[]; not_scored?: { scenario: string; leg: 'server' | 'client' }[] };

/** The scenarios that a revision requires of servers or clients, and those that it runs without counting them. */
export const scenariosOf = (revision: string, leg: 'server' | 'client'): string[] => {
  const requirements = parse(readFileSync(join(packageFolder, 'requirements', `${revision}.yaml`), 'utf8')) as Requirements;
  const unscored = (requirements.not_scored ?? []).filter((entry) => entry.leg === leg).map(({ scenario }) => scenario);
  return [...requirements[leg], ...unscored];
};

/** Every scenario that the program has for one side, whatever requires it. */
export const allScenarios = (leg: 'server' | 'client'): string[] => {
  const listed = execFileSync(process.execPath, [program, 'list', `--${leg}`], { encoding: 'utf8' });
  return [...listed.matchAll(/^ +- (\S+) \[/gm)].map(([, name = '']) => name);
};

/**
 * Runs the conformance program, which nobody here wrote, and reads what it found. A scenario that left no report is absent.
 * @param onOutput - hears what the program says meanwhile, such as the address that a person has to open
 */
export const runScenarios = async (
  mode: 'server' | 'client' | 'authorization',
  parameters: string[],
  environment: Record<string, string> = {},
  onOutput?: (text: string) => void,
): Promise<Map<string, Check[]>> => {
  const folder = await mkdtemp(join(tmpdir(), 'quarterdeck-conformance-'));
  try {
    const child = spawn(process.execPath, [program, mode, ...parameters, '--output-dir', folder], {
      stdio: ['ignore', onOutput ? 'pipe' : 'ignore', 'ignore'],
      env: { ...process.env, ...environment },
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => onOutput?.(text));
    await new Promise((resolve, reject) => child.once('exit', resolve).once('error', reject));
    const prefix = mode === 'server' ? 'server-' : '';
    return new Map(
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('checks.json'))
        .map((path) => {
          const scenario = dirname(path)
            .slice(prefix.length)
            .replace(/-\d{4}-\d{2}-\d{2}T[\d-]+Z$/, '');
          return [scenario, JSON.parse(readFileSync(join(folder, path), 'utf8')) as Check[]] as const;
        }),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
