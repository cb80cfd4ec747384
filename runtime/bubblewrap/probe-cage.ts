import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { cagePlaces } from './cage-arguments.ts';
import { spawnCaged } from './spawn-caged.ts';

const probeTimeoutMs = 20_000;

/** Runs inside the cage and prints what it finds there as one JSON object. */
const probeScript = `
const fs = require('node:fs');
const attempt = (path) => { try { fs.closeSync(fs.openSync(path, 'r+')); return 'open'; } catch (error) { return error.code; } };
const create = (path) => { try { fs.writeFileSync(path, ''); return 'open'; } catch (error) { return error.code; } };
console.log(JSON.stringify({
  status: fs.readFileSync('/proc/self/status', 'utf8'),
  interfaces: fs.readFileSync('/proc/net/dev', 'utf8').split('\\n').slice(2).map((line) => line.split(':')[0].trim()).filter(Boolean),
  kernelSettings: attempt('/proc/sys/kernel/core_pattern'),
  root: create('/probe'),
}));`;

const FindingsSchema = z.object({ status: z.string(), interfaces: z.array(z.string()), kernelSettings: z.string(), root: z.string() });
export type CageFindings = z.infer<typeof FindingsSchema>;

/** Whether cages hold on this machine, and if not, which promise is broken. */
export type CageProof = { ok: true } | { ok: false; reason: string };

/** Judges what a probe found inside. */
export const judgeFindings = ({ status, interfaces, kernelSettings, root }: CageFindings): CageProof => {
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(status)?.[1];
  const broken = [
    /^0+$/.test(field('CapEff') ?? '') ? undefined : 'it keeps capabilities',
    field('NoNewPrivs') === '1' ? undefined : 'new privileges can be gained',
    field('Seccomp') === '2' ? undefined : 'the system call filter is not active',
    interfaces.every((name) => name === 'lo') ? undefined : 'it has a network',
    kernelSettings === 'open' ? 'kernel settings can be written' : undefined,
    root === 'open' ? 'its root can be written' : undefined,
  ].filter((reason) => reason !== undefined);
  return broken.length === 0 ? { ok: true } : { ok: false, reason: `A cage does not hold on this machine: ${broken.join(', ')}.` };
};

/**
 * Proves that cages hold here by looking out of one, made by the same argument list as those of real servers.
 * @param nodePath - real path of the Node binary that runs the probe inside
 * @throws {PlatformError} `isolation_unavailable` when bubblewrap is missing
 */
export const probeCage = async (nodePath: string): Promise<CageProof> => {
  const cage = await spawnCaged({ plan: { nodePath, env: {}, binds: [], covers: [] }, command: [cagePlaces.node, '-e', probeScript] });
  const timer = setTimeout(() => void cage.stop(), probeTimeoutMs);
  const [output, complaint, exit] = await Promise.all([text(cage.stdout), text(cage.stderr), cage.exited]);
  clearTimeout(timer);
  if (exit.code !== 0) {
    const hint = complaint.trim().split('\n').at(-1) || exit.failure || `it ended with ${exit.signal ?? exit.code}`;
    return { ok: false, reason: `A cage cannot be made on this machine: ${hint}` };
  }
  const findings = FindingsSchema.safeParse(JSON.parse(output));
  return findings.success ? judgeFindings(findings.data) : { ok: false, reason: 'The probe in the cage answered nothing usable.' };
};
