import { startLegacyFixture } from './conformance/legacy-server.ts';
import { startModernFixture } from './conformance/modern-server.ts';
import { startRunningGateway } from './running-gateway.ts';

const eras = ['legacy', 'modern'] as const;

/** The wired gateway in front of a server of each era: the toolsets `legacy` and `modern`. */
export const startBothEras = async () => {
  const gateway = await startRunningGateway();
  const fixtures = { legacy: await startLegacyFixture(), modern: await startModernFixture() };
  for (const name of eras) {
    await gateway.apply(
      { kind: 'McpServer', metadata: { name }, spec: { url: fixtures[name].url } },
      { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
    );
    await gateway.ready(name);
  }
  return {
    gateway,
    close: async (): Promise<void> => {
      await gateway.close();
      for (const name of eras) await fixtures[name].close();
    },
  };
};
