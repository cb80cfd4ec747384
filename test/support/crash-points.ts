import { AsyncLocalStorage } from 'node:async_hooks';
import { Context } from '@temporalio/activity';
import type { GatewayClient } from '../../activities/index.ts';
import type { TargetPort } from '../../reconcile/target-port.ts';
import type { ContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';

// biome-ignore lint/suspicious/noExplicitAny: whatever is wrapped keeps its own shape
type Work = (...input: any[]) => Promise<any>;
type At = { target: string; activity: string };

/**
 * Names the moments of the reconciler's activities at which a worker may die: before and after each write of rows, each question to the
 * system, each call through the gateway, and after an activity's work is done but before Temporal hears of it. At each it asks `control`,
 * which answers when it may go on, or never.
 */
export const createCrashPoints = (control: string) => {
  const place = new AsyncLocalStorage<At>();

  const reach = async (moment: string): Promise<void> => {
    const at = place.getStore();
    if (!at) return;
    await fetch(`${control}/point`, { method: 'POST', body: JSON.stringify({ target: at.target, point: `${at.activity} ${moment}` }) });
  };
  const around = <T extends Work>(what: string, work: T): T =>
    (async (...input) => {
      await reach(`before ${what}`);
      const result = await work(...input);
      await reach(`after ${what}`);
      return result;
    }) as T;

  return {
    database: (database: Database): Database => {
      database.transaction = around('a write', database.transaction);
      return database;
    },
    contents: (contents: ContentStore): ContentStore => ({ ...contents, put: around('keeping a text', contents.put) }),
    port: (port: TargetPort<'kubernetes'>): TargetPort<'kubernetes'> => ({
      ...port,
      observe: around('a look', port.observe),
      dryRun: around('a dry-run', port.dryRun),
      apply: around('an effect', port.apply),
    }),
    gateway: (gateway: GatewayClient): GatewayClient => ({
      ...gateway,
      complete: around('the model', gateway.complete),
      callTool: around('a tool', gateway.callTool),
    }),
    activities: <T extends Record<string, Work>>(activities: T): T =>
      Object.fromEntries(
        Object.entries(activities).map(([activity, work]) => [
          activity,
          (call: { target?: string }) => {
            if (call?.target === undefined) return work(call);
            // held at a point it is alive, until it is killed
            const { heartbeat } = Context.current();
            const beats = setInterval(() => heartbeat(), 1000);
            return place.run({ target: call.target, activity }, around('its work', work), call).finally(() => clearInterval(beats));
          },
        ]),
      ) as T,
  };
};
