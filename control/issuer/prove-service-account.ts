import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { z } from 'zod';
import type { WorkerTrust } from '../../schema/worker-proof.ts';
import { type ProveWorker, unproven } from './worker.ts';

const answerWithinMs = 5_000;

const ReviewSchema = z.object({
  status: z.object({
    authenticated: z.boolean().default(false),
    audiences: z.array(z.string()).default([]),
    user: z.object({ username: z.string().default(''), extra: z.record(z.string(), z.array(z.string())).default({}) }).optional(),
  }),
});

/**
 * Judges a projected service-account token by asking the API server (TokenReview): a token of a pod that is gone is refused, whatever its
 * `exp`, as soon as the API server has forgotten its last review (10 s). The token has to be bound to a pod and to be for us; a server that does not answer for our audience has not checked it.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
 */
export const createServiceAccountProver = ({
  trust,
  audience,
}: {
  trust: NonNullable<WorkerTrust['kubernetes']>;
  audience: string;
}): ProveWorker => {
  const { apiUrl, caFile, tokenFile, serviceAccounts } = trust;
  let connection: { ca: string; dispatcher: Agent } | undefined;

  /** Both files are replaced from time to time while we run. */
  const connect = async (): Promise<Agent> => {
    const ca = await readFile(caFile, 'utf8');
    if (connection?.ca !== ca) {
      void connection?.dispatcher.close();
      connection = { ca, dispatcher: new Agent({ connect: { ca, timeout: answerWithinMs }, allowH2: false }) };
    }
    return connection.dispatcher;
  };

  const review = async (token: string): Promise<z.infer<typeof ReviewSchema>['status']> => {
    const [dispatcher, own] = await Promise.all([connect(), readFile(tokenFile, 'utf8')]);
    const { statusCode, body } = await request(`${apiUrl.replace(/\/$/, '')}/apis/authentication.k8s.io/v1/tokenreviews`, {
      method: 'POST',
      headers: { authorization: `Bearer ${own.trim()}`, 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences: [audience] } }),
      headersTimeout: answerWithinMs,
      bodyTimeout: answerWithinMs,
      dispatcher,
    });
    const text = await body.text();
    if (statusCode !== 201 && statusCode !== 200) throw new Error(`the API server answers a token review with ${statusCode}`);
    return ReviewSchema.parse(JSON.parse(text)).status;
  };

  return async (proof) => {
    const { authenticated, audiences, user } = await review(proof);
    if (!authenticated || !audiences.includes(audience)) return unproven('proof_not_valid');
    const account = serviceAccounts.find(({ namespace, name }) => user?.username === `system:serviceaccount:${namespace}:${name}`);
    if (account === undefined) return unproven('service_account_not_listed');
    const pod = user?.extra['authentication.kubernetes.io/pod-name']?.[0];
    // a token of no pod would be good for as long as it says, whoever copied it
    if (pod === undefined) return unproven('service_account_without_pod');
    const { namespace, name, tier, org, project, fleet, role } = account;
    return {
      ok: true,
      worker: { name: `serviceaccount/${namespace}/${name}/${pod}`, trustTier: tier, limits: { org, project, fleet, role } },
    };
  };
};
