import { isReady, type PlatformCase } from './platform-case.ts';
import { startToolServer } from './tool-server.ts';
import { wrongPlatformFix } from './wrong-platform-fix.ts';

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
  wrong: (lane) => wrongPlatformFix('G05', lane, { toolset: 'both' }),
};
