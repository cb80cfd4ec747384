import { describe, expect, test } from 'vitest';
import { type CagePlan, cageArguments } from '../../runtime/bubblewrap/cage-arguments.ts';
import { judgeFindings } from '../../runtime/bubblewrap/probe-cage.ts';

const plan: CagePlan = {
  nodePath: '/host/node',
  nodeModules: '/host/project/node_modules',
  env: { API_URL: 'http://x' },
  binds: [
    { source: '/host/in', at: '/input', mode: 'ro' },
    { source: '/host/out', at: '/output', mode: 'rw' },
  ],
  covers: [
    { at: '/input/.git', kind: 'folder' },
    { at: '/input/.env', kind: 'file' },
  ],
};

/** The values that follow an option, `count` each time it occurs. */
const valuesOf = (args: string[], option: string, count: number): string[][] =>
  args.flatMap((argument, index) => (argument === option ? [args.slice(index + 1, index + 1 + count)] : []));

describe('the arguments of a cage', () => {
  const args = cageArguments(plan);

  test('ask for every namespace, drop all capabilities and die with the host', () => {
    for (const option of ['--unshare-all', '--unshare-user', '--unshare-cgroup', '--disable-userns', '--assert-userns-disabled'])
      expect(args).toContain(option);
    for (const option of ['--die-with-parent', '--new-session', '--clearenv']) expect(args).toContain(option);
    expect(valuesOf(args, '--cap-drop', 1)).toEqual([['ALL']]);
    expect(valuesOf(args, '--seccomp', 1)).toEqual([['4']]);
  });

  test('never share the network, a device or a namespace, nor pass the flag that gives up the boundary', () => {
    for (const option of ['--share-net', '--dev-bind', '--not-a-security-boundary', '--userns', '--cap-add', '--unshare-user-try'])
      expect(args).not.toContain(option);
  });

  test('bind the host folders they were given and no others', () => {
    expect(valuesOf(args, '--ro-bind', 2)).toEqual([
      ['/usr', '/usr'],
      ['/host/node', '/opt/node/bin/node'],
      ['/host/project/node_modules', '/opt/server/node_modules'],
      ['/host/in', '/input'],
      ['/dev/null', '/input/.env'],
    ]);
    expect(valuesOf(args, '--bind', 2)).toEqual([['/host/out', '/output']]);
  });

  test('add the folder of the way out where there is one, to be read alone, and no network', () => {
    const open = cageArguments({ ...plan, wayOut: '/host/ways/one' });
    const added = valuesOf(open, '--ro-bind', 2).filter(([, at]) => !valuesOf(args, '--ro-bind', 2).some(([, other]) => other === at));
    expect(added.map(([, at]) => at)).toEqual(['/opt/node/forward-in-cage.mjs', '/opt/egress']);
    expect(open).not.toContain('--share-net');
  });

  test('cover hidden entries after the folder that holds them', () => {
    expect(args.indexOf('/input/.git')).toBeGreaterThan(args.indexOf('/input'));
    expect(valuesOf(args, '--tmpfs', 1)).toContainEqual(['/input/.git']);
    expect(valuesOf(args, '--remount-ro', 1)).toContainEqual(['/input/.git']);
  });

  test('end with a read-only /proc, /dev and root, because a host run by root could be left through /proc/sys', () => {
    expect(args.slice(-8)).toEqual(['--remount-ro', '/proc', '--remount-ro', '/dev', '--remount-ro', '/', '--seccomp', '4']);
  });

  test('give every writable tmpfs a size', () => {
    const writable = args.flatMap((argument, index) => (argument === '--tmpfs' && args[index + 2] !== '--remount-ro' ? [index] : []));
    expect(writable.map((index) => args[index - 2])).toEqual(['--size', '--size']);
  });

  test('stay under the 9,000 that bubblewrap takes at the largest launch', () => {
    const many = <Item>(count: number, make: (index: number) => Item) => Array.from({ length: count }, (_, index) => make(index));
    const largest = cageArguments({
      ...plan,
      env: Object.fromEntries(many(100, (index) => [`V${index}`, 'x'])),
      binds: many(40, (index) => ({ source: '/s', at: `/v${index}`, mode: 'ro' })),
      covers: many(2_000, (index) => ({ at: `/v0/${index}`, kind: 'folder' })),
    });
    expect(largest.length + 220 + 20).toBeLessThan(9_000);
  });
});

describe('the judgement of a probe', () => {
  const good = {
    status: 'Name:\tnode\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n',
    interfaces: ['lo'],
    kernelSettings: 'EROFS',
    root: 'EROFS',
  };
  test('accepts a cage that holds', () => expect(judgeFindings(good)).toEqual({ ok: true }));
  test.each([
    ['capabilities', { status: good.status.replace('0000000000000000', '0000000000000400') }],
    ['new privileges', { status: good.status.replace('NoNewPrivs:\t1', 'NoNewPrivs:\t0') }],
    ['system call filter', { status: good.status.replace('Seccomp:\t2', 'Seccomp:\t0') }],
    ['capabilities, new privileges can be gained, the system call filter', { status: '' }],
    ['network', { interfaces: ['lo', 'eth0'] }],
    ['kernel settings', { kernelSettings: 'open' }],
    ['root', { root: 'open' }],
  ])('names the broken promise: %s', (word, change) => {
    const proof = judgeFindings({ ...good, ...change });
    expect(proof).toMatchObject({ ok: false, reason: expect.stringContaining(word) });
  });
});
