import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../../cli/setup/cache-folder.mjs';
import { findOnPath } from '../../cli/setup/find-on-path.mjs';
import { etcdVersion, kubernetesPrograms, kubernetesVersion } from './kubernetes-programs.mjs';
import { withLock } from './lock.mjs';
import { runCommand } from './run-command.mjs';
import { say, secondsSince } from './talk.mjs';

/** GOFLAGS and GOOS of the caller's own work must not decide what is built for this machine. */
const environment = { ...process.env, GOFLAGS: '-mod=mod', GOOS: '', GOARCH: '', GOWORK: 'off' };

/** Kubernetes' module requires its staging modules at v0.0.0: outside of its own repository each is replaced by what was released with it. */
const writeKubernetesModule = async (folder) => {
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', `k8s.io/kubernetes@v${kubernetesVersion}`], {
    cwd: folder,
    env: environment,
  });
  const staging = readFileSync(JSON.parse(stdout).GoMod, 'utf8').match(/k8s\.io\/[\w-]+(?= v0\.0\.0(\s|$))/g) ?? [];
  const released = kubernetesVersion.replace(/^1/, '0');
  const replacements = [...new Set(staging)].map((name) => `replace ${name} => ${name} v${released}`);
  writeFileSync(
    join(folder, 'go.mod'),
    ['module quarterdeck.test/kubernetes', 'go 1.26', `require k8s.io/kubernetes v${kubernetesVersion}`, ...replacements, ''].join('\n'),
  );
};

const build = async (scratch, package_, target) => {
  const built = join(scratch, 'built');
  const code = await runCommand('go', ['build', '-trimpath', '-ldflags=-s -w', '-o', built, package_], { cwd: scratch, env: environment });
  if (code !== 0) return false;
  mkdirSync(dirname(target), { recursive: true });
  renameSync(built, target);
  return true;
};

const buildAll = async (scratch) => {
  const { apiServer, etcd } = kubernetesPrograms();
  if (!existsSync(apiServer)) {
    say(`go build of kube-apiserver ${kubernetesVersion}: about 5 min on two cores, once; 105 MB, kept in ${apiServer}`);
    await writeKubernetesModule(scratch);
    if (!(await build(scratch, 'k8s.io/kubernetes/cmd/kube-apiserver', apiServer))) return false;
  }
  if (existsSync(etcd)) return true;
  say(`go build of etcd ${etcdVersion}: about 3 min, once; 27 MB, kept in ${etcd}`);
  const module = 'go.etcd.io/etcd/server/v3';
  writeFileSync(join(scratch, 'go.mod'), `module quarterdeck.test/etcd\ngo 1.26\nrequire ${module} v${etcdVersion}\n`);
  return build(scratch, module, etcd);
};

/**
 * Builds, where it can, the API server of Kubernetes and its store, which the tests of service-account tokens ask. Where it cannot, it
 * says in one line what helps and goes on: those tests then fail by name, and nothing else does.
 */
export const ensureKubernetes = async () => {
  const isThere = () => Object.values(kubernetesPrograms()).every((path) => existsSync(path));
  if (isThere()) return;
  if (findOnPath('go') === undefined)
    return say('Go is missing, so no API server of Kubernetes can be built for the tests; install Go 1.26');
  await withLock(join(cacheFolder(), 'locks', 'kubernetes'), 'building the API server of Kubernetes', async () => {
    if (isThere()) return;
    const scratch = join(cacheFolder(), 'kubernetes.new'); // ours while we hold the lock; what a killed run left goes
    rmSync(scratch, { recursive: true, force: true });
    mkdirSync(scratch);
    const startedAt = performance.now();
    try {
      if (await buildAll(scratch)) say(`the API server of Kubernetes: done in ${secondsSince(startedAt)}`);
      else say('the API server of Kubernetes could not be built (its words stand above), so tests that ask one fail');
    } catch (error) {
      say(`the API server of Kubernetes could not be built (${error.message.split('\n')[0]}), so tests that ask one fail`);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
};
