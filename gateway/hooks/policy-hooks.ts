import type { ProjectPolicies } from '../../policy/assemble-policies.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { SecretSources } from '../../store/secrets/references.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { GatewayConfig } from '../gateway-config.ts';
import type { Exposed } from '../surface/exposed.ts';
import { createBreaker } from '../upstream/breaker.ts';
import { type AskableHook, createAsk } from './ask-hook.ts';
import { createHookAddresses } from './hook-addresses.ts';

/** Keeps the hooks of projects as their policies in force have them. */
export const createPolicyHooks = ({
  config,
  secrets,
  logger,
  now,
}: {
  config: GatewayConfig;
  secrets: SecretSources;
  logger: Logger;
  now: () => number;
}) => {
  const addresses = createHookAddresses(config);
  const byProject = new Map<string, { source: string; hooks: readonly AskableHook[] }>();
  let isIdle = true;

  const askable = (tenancy: Tenancy, policies: ProjectPolicies): AskableHook[] =>
    policies.policySets.flatMap(({ hooks = [] }) =>
      hooks.map((hook): AskableHook => {
        const onChange = (state: 'closed' | 'open'): void =>
          logger.warn({ ...tenancy, hook: hook.name, state }, 'a hook stopped answering, or answers again');
        return { ...hook, breaker: createBreaker({ now, onChange }), ask: createAsk(hook, { tenancy, addresses, secrets, now }) };
      }),
    );

  return {
    /** Whether no project has any: then nothing is looked for. */
    isIdle: (): boolean => isIdle,
    take: (tenancy: Tenancy, policies: ProjectPolicies): void => {
      const key = `${tenancy.org}/${tenancy.project}`;
      const source = JSON.stringify(policies.policySets.map(({ hooks }) => hooks ?? []));
      if (byProject.get(key)?.source === source) return;
      byProject.set(key, { source, hooks: askable(tenancy, policies) });
      isIdle = [...byProject.values()].every(({ hooks }) => hooks.length === 0);
    },
    /** Those that are to be asked about a tool, in the order in which they are declared. */
    about: ({ tenancy, server, pinned }: Exposed): readonly AskableHook[] => {
      const names = [`${server.metadata.name}/*`, `${server.metadata.name}/${pinned.name}`];
      const hooks = byProject.get(`${tenancy.org}/${tenancy.project}`)?.hooks ?? [];
      return hooks.filter(({ tools }) => names.some((name) => tools.includes(name)));
    },
    close: () => addresses.dispatcher.close(),
  };
};
export type PolicyHooks = ReturnType<typeof createPolicyHooks>;
