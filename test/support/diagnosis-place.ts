import { MockActivityEnvironment } from '@temporalio/testing';
import { createGatewayClient } from '../../activities/gateway-client.ts';
import { createDiagnosis, type DiagnosisInput, type DiagnosisResult } from '../../activities/reconcile-diagnose.ts';
import type { ObservedObject } from '../../schema/reconcile/observation.ts';
import { createContentStore } from '../../store/contents.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { redactor } from '../../telemetry/redactor.ts';
import { startCountingServer } from './counting-server.ts';
import { deployment, objectOf, shopTarget } from './fix-to-decide.ts';
import { startRunningGateway } from './running-gateway.ts';
import { type ScriptedAnswer, type ScriptedRequest, startScriptedModel } from './scripted-model.ts';

export const restart = { diagnosis: 'It hangs.', confidence: 0.9, operations: [{ op: 'restart', object: deployment }] };
export const propose = (value: unknown): ScriptedAnswer => ({ text: JSON.stringify(value) });

export const crashing = (message: string): ObservedObject => ({
  ...{ ref: objectOf('Pod', 'web-1'), uid: 'u', version: '1', hash: 'h', state: { kind: 'Pod' }, health: 'degraded', owners: [] },
  ...{ symptoms: [{ code: 'CrashLoopBackOff', message, count: 3 }], isOurs: false, deletingSince: '' },
});

/** The real gateway with a scripted model of a known price, an MCP server of which one tool only reads, and a role that diagnoses. */
export const startDiagnosisPlace = async () => {
  const script: { answer: (request: ScriptedRequest, call: number) => ScriptedAnswer | Promise<ScriptedAnswer> } = {
    answer: () => propose(restart),
  };
  const model = await startScriptedModel({ answer: (request, call) => script.answer(request, call) });
  const server = await startCountingServer();
  const gateway = await startRunningGateway();
  const contents = createContentStore(gateway.database, deriveContentKeys(Buffer.alloc(32, 7).toString('base64'), 'content'));
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'Provider', metadata: { name: 'scripted' }, spec: { kind: 'openai-compatible', baseUrl: model.url } },
    {
      kind: 'Model',
      metadata: { name: 'thinker' },
      spec: {
        routes: [
          {
            ...{ provider: 'scripted', model: 'scripted' },
            price: { inputMicroUsdPerMillion: 1_000_000, outputMicroUsdPerMillion: 10_000_000 },
          },
        ],
        contextTokens: 200_000,
        maxOutputTokens: 1000,
      },
    },
    {
      kind: 'AgentRole',
      metadata: { name: 'diagnoser' },
      spec: {
        instructions: 'Find out what is wrong.',
        model: 'thinker',
        toolset: 'counting',
        limits: { steps: 10, tokens: 1_000_000 },
        output: { type: 'object' },
      },
    },
    {
      kind: 'AccessBinding',
      metadata: { name: 'diagnosers' },
      spec: { subjects: [{ agentRole: 'diagnoser' }], toolsets: ['counting'], models: ['thinker'] },
    },
  );
  await gateway.ready('counting');

  const tokens = { tokenFor: (agentId: string, audience: string) => gateway.mint(agentId, audience), forget: () => undefined };
  const client = createGatewayClient({ gatewayUrl: gateway.publicUrl, tokens });
  const diagnose = createDiagnosis({ database: gateway.database, contents, gateway: client, redact: redactor.text });
  let fixes = 0;

  const inputOf = ({
    escalation = {},
    neighbours = [crashing('no such file')],
    fixId,
    target = `shop-${fixes + 1}`,
  }: {
    escalation?: object;
    neighbours?: ObservedObject[];
    fixId?: string;
    target?: string;
  } = {}): DiagnosisInput => {
    fixes += 1;
    return {
      fixId: fixId ?? `fix_${String(fixes).padStart(16, '0')}`,
      target: {
        ...{ org: 'default', project: 'default', name: target, generation: 1 },
        spec: shopTarget({ escalation: { role: 'diagnoser', ...escalation } }),
      },
      ...{ owner: 'admin', launchDecisionId: 'dec_role', why: 'no-rule', conflicts: [], earlier: [] },
      drift: {
        ...{ kind: 'unhealthy', object: deployment, fields: [], fingerprint: 'f', faultKind: 'unhealthy/Deployment' },
        symptoms: [{ code: 'CrashLoopBackOff', message: 'exit 1', count: 7 }],
      },
      desired: { status: 'read', objects: [], digest: 'd' },
      observation: { status: 'read', at: '2026-11-30T00:00:00Z', objects: [], neighbours },
    };
  };

  return {
    ...{ script, model, server, gateway, contents, client, inputOf },
    /** One call of a tool with an agent's own token, past the agent. @returns the error, without its data */
    callAs: async (agentId: string, name: string): Promise<unknown> => {
      const audience = `${gateway.publicUrl}/mcp/default/default/counting`;
      const response = await fetch(audience, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await gateway.mint(agentId, audience)}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }),
      });
      const text = await response.text();
      const { error } = JSON.parse(text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}'));
      return error && { code: error.code, message: error.message };
    },
    /** Runs a diagnosis as an activity does. */
    run: (input: DiagnosisInput, environment = new MockActivityEnvironment()) =>
      environment.run(diagnose, input) as Promise<DiagnosisResult>,
    close: async () => {
      await gateway.close();
      await model.close();
      await server.close();
    },
  };
};
export type DiagnosisPlace = Awaited<ReturnType<typeof startDiagnosisPlace>>;
