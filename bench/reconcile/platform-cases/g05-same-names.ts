import { isReady, type PlatformCase, refIn } from './platform-case.ts';
import { startToolServer } from './tool-server.ts';

export const sameNames: PlatformCase = {
  id: 'G05',
  fault: 'two servers of a toolset offer one name',
  watch: ['toolsets'],
  declare: () => [{ kind: 'Toolset', metadata: { name: 'both' }, spec: { servers: [{ name: 'tools' }], naming: 'plain' } }],
  inject: async ({ owner, later }) => {
    const second = await startToolServer([{ name: 'look', description: 'Looks elsewhere' }]);
    later(second.close);
    await owner.apply(
      { kind: 'McpServer', metadata: { name: 'second' }, spec: { url: second.url } },
      { kind: 'Toolset', metadata: { name: 'both' }, spec: { servers: [{ name: 'tools' }, { name: 'second' }], naming: 'plain' } },
    );
  },
  seenAs: /^unhealthy Toolset\/both NameCollision/,
  isWell: (lane) => isReady(lane, 'both'),
  right: { ends: ['fixed'], changes: /^resource: Toolset\/both\/spec\/naming$/, operations: () => [{ op: 'prefixNames' }] },
  wrong: () => ({
    says: 'the last one wins',
    operations: [{ op: 'patchField', object: refIn('Toolset', 'both'), path: '/spec/conflicts', value: 'priority' }],
  }),
};
