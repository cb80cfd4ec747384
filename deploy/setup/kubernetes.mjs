import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findOnPath } from '../../cli/setup/find-on-path.mjs';
import { etcdVersion, kubernetesPrograms, kubernetesVersion, kwokVersion } from '../../cli/setup/kubernetes-programs.mjs';
import { buildOnce } from './build-once.mjs';
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

const moduleFor = (name, module, version) => `module quarterdeck.test/${name}\ngo 1.26\nrequire ${module} v${version}\n`;

/** What is built, out of which package, and how a module is written from which it can be. */
const parts = () => {
  const { apiServer, controllerManager, scheduler, etcd, kwok } = kubernetesPrograms();
  const kubernetes = (program) => ({ package_: `k8s.io/kubernetes/cmd/${program}`, writeModule: writeKubernetesModule });
  const module = (name, module_, version) => (folder) => writeFileSync(join(folder, 'go.mod'), moduleFor(name, module_, version));
  return [
    { name: `kube-apiserver ${kubernetesVersion}`, target: apiServer, lasts: '5 min on two cores', ...kubernetes('kube-apiserver') },
    {
      name: `kube-controller-manager ${kubernetesVersion}`,
      target: controllerManager,
      lasts: '3 min',
      ...kubernetes('kube-controller-manager'),
    },
    { name: `kube-scheduler ${kubernetesVersion}`, target: scheduler, lasts: '1 min', ...kubernetes('kube-scheduler') },
    {
      name: `etcd ${etcdVersion}`,
      target: etcd,
      lasts: '3 min',
      package_: 'go.etcd.io/etcd/server/v3',
      writeModule: module('etcd', 'go.etcd.io/etcd/server/v3', etcdVersion),
    },
    {
      name: `kwok ${kwokVersion}`,
      target: kwok,
      lasts: '1 min',
      package_: 'sigs.k8s.io/kwok/cmd/kwok',
      writeModule: module('kwok', 'sigs.k8s.io/kwok', kwokVersion),
    },
  ];
};

const buildAll = async (scratch) => {
  for (const { name, target, lasts, package_, writeModule } of parts()) {
    if (existsSync(target)) continue;
    say(`go build of ${name}: about ${lasts}, once; kept in ${target}`);
    rmSync(join(scratch, 'go.sum'), { force: true });
    await writeModule(scratch);
    if (!(await build(scratch, package_, target))) return false;
  }
  return true;
};

/**
 * Builds, where it can, the parts of a Kubernetes cluster, which the tests of service-account tokens and of the reconciler ask. Where it
 * cannot, it says in one line what helps and goes on: those tests then fail by name, and nothing else does.
 */
export const ensureKubernetes = async () => {
  const isThere = () => Object.values(kubernetesPrograms()).every((path) => existsSync(path));
  if (isThere()) return;
  if (findOnPath('go') === undefined) return say('Go is missing, so no cluster of Kubernetes can be built for the tests; install Go 1.26');
  await buildOnce('kubernetes', {
    doing: 'building a cluster of Kubernetes',
    isThere,
    build: async (scratch) => {
      const startedAt = performance.now();
      try {
        if (await buildAll(scratch)) say(`the cluster of Kubernetes: done in ${secondsSince(startedAt)}`);
        else say('the cluster of Kubernetes could not be built (its words stand above), so tests that ask one fail');
      } catch (error) {
        say(`the cluster of Kubernetes could not be built (${error.message.split('\n')[0]}), so tests that ask one fail`);
      }
    },
  });
};
