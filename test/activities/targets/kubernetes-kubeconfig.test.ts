import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createKubernetesClient } from '../../../activities/targets/kubernetes-client.ts';
import { readKubeconfig } from '../../../activities/targets/kubernetes-kubeconfig.ts';

const folder = await mkdtemp(join(tmpdir(), 'quarterdeck-kubeconfig-'));
afterAll(() => rm(folder, { recursive: true }));

/** Nobody listens there: what is of interest happens before the first byte is sent. */
const kubeconfig = (user: string): string => `apiVersion: v1
kind: Config
current-context: there
clusters:
- name: cluster
  cluster:
    server: https://127.0.0.1:9
users:
- name: person
  user:
${user}
contexts:
- name: there
  context: { cluster: cluster, user: person }
`;

describe('a kubeconfig that somebody else wrote', () => {
  /** Asks the cluster for something with it, as an adapter does. @returns what it was read as, or the refusal */
  const use = async (text: string): Promise<string> => {
    try {
      const config = await readKubeconfig(text);
      const client = createKubernetesClient(config);
      await client.send({ path: '/api/v1', signal: AbortSignal.timeout(5000) }).catch(() => undefined);
      await client.close();
      return JSON.stringify(config.getCurrentUser());
    } catch (error) {
      return (error as Error).message;
    }
  };

  const program = (file: string): string =>
    `exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/sh, args: [-c, "touch ${file}; false"], interactiveMode: Never}`;

  test.each([
    ['in its user', (file: string) => `    ${program(file)}`],
    // one parser of YAML ends a line there and another does not
    ['behind a carriage return in a comment', (file: string) => `    # a note\r    ${program(file)}\r\n    token: abc`],
    ['merged in', (file: string) => `    token: abc\n    <<: { ${program(file)} }`],
    ['beside its user, merged over it', (file: string) => `    token: abc\n  <<: { user: { ${program(file)} } }`],
    ['in its prototype', (file: string) => `    token: abc\n    __proto__: { ${program(file)} }`],
    ['by a key that is a list', (file: string) => `    token: abc\n    ? [exec]\n    : { command: /bin/sh, args: [-c, "touch ${file}"] }`],
  ])('runs no program %s', async (where, user) => {
    const file = join(folder, where.replaceAll(' ', '-'));
    const answer = await use(kubeconfig(user(file)));
    await expect(access(file)).rejects.toThrow();
    expect(answer).not.toMatch(/^\{.*"exec"/);
  });

  test.each([
    ['a token in a file', '    tokenFile: /etc/passwd'],
    ['a certificate in a file', '    client-certificate: /etc/passwd\n    client-key: /etc/passwd'],
    ['a token file behind a carriage return', '    # a note\r    token-file: /etc/passwd\r\n    token: abc'],
    ['a plug-in', '    auth-provider: { name: gcp, config: { cmd-path: /bin/touch } }'],
  ])('reads no file and loads no plug-in: %s', async (_what, user) => {
    const answer = await use(kubeconfig(user));
    expect(answer === '{"name":"person","token":"abc"}' || answer.startsWith('the kubeconfig cannot be used')).toBe(true);
  });

  test('is taken with what it carries in itself', async () => {
    const config = await readKubeconfig(kubeconfig('    token: abc'));
    expect(config.getCurrentUser()).toEqual({ name: 'person', token: 'abc' });
    expect(config.getCurrentCluster()).toEqual({ name: 'cluster', server: 'https://127.0.0.1:9', skipTLSVerify: false });
  });
});
