import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Ports } from './ports.ts';

/** Addresses and tokens of a running platform, as `--ready-file` gets them. The tokens and the URL of the database are secret. */
export const ReadyFileSchema = z.object({
  /** Origin of the gateway. */
  url: z.url(),
  /** Everything the caller may use; `/mcp/TOOLSET` below it is one toolset. */
  mcpUrl: z.url(),
  modelsUrl: z.url(),
  consoleUrl: z.url(),
  apiUrl: z.url(),
  metricsUrl: z.url(),
  /** Absent in the profile `production`. */
  adminToken: z.string().optional(),
  /** In the profile `dev` alone. */
  reviewerToken: z.string().optional(),
  temporalAddress: z.string(),
  databaseUrl: z.string(),
  /** Of the supervisor; SIGTERM stops the platform. */
  pid: z.int(),
});
export type ReadyFile = z.infer<typeof ReadyFileSchema>;

/** The addresses that follow from the ports. */
export const addressesOf = (ports: Ports) => {
  const at = (port: number): string => `http://127.0.0.1:${port}`;
  const url = at(ports.gateway);
  const apiUrl = at(ports.api);
  return {
    url,
    mcpUrl: `${url}/mcp`,
    modelsUrl: `${url}/v1`,
    consoleUrl: `${apiUrl}/`,
    apiUrl,
    metricsUrl: `${at(ports.metrics)}/metrics`,
  };
};

/** Reads what a running platform wrote; undefined when none is ready. */
export const readReadyFile = (path: string): ReadyFile | undefined => {
  try {
    return ReadyFileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
};
