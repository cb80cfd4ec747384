import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { agentSubject, findLabel } from '../../store/flow-labels.ts';
import { type FlowPlace, startFlowPlace } from '../support/flow-place.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { adminToken, guestToken } from '../support/running-gateway.ts';

let place: FlowPlace;
let replica: Awaited<ReturnType<typeof startGatewayProcess>>;
let other: string;

beforeAll(async () => {
  place = await startFlowPlace();
  const port = await freePort();
  other = `http://127.0.0.1:${port}`;
  replica = await startGatewayProcess({ ...place.gateway.config, port, publicUrl: other });
});
afterAll(async () => {
  await replica.close();
  await place.close();
});

const labelOf = (agentId: string) => findLabel(place.gateway.database, { ...defaultTenancy, subject: agentSubject(agentId) });
const isOut = (answer: { result?: unknown }): boolean => answer.result !== undefined;

describe('what an agent has read decides about its ways out', () => {
  test('a secret closes a way out that may not be given it, and the refusal says the rule, the source and what to do', async () => {
    const { id, token } = await place.agent();
    expect(isOut(await place.call(token, 'post', { text: 'before' }))).toBe(true);
    const before = place.outside.uses.length;
    expect(isOut(await place.call(token, 'read'))).toBe(true);
    expect(await labelOf(id)).toMatchObject({ secrecy: 2, tainted: true });
    const refused = await place.call(token, 'post', { text: 'after' });
    expect(refused.error.data).toMatchObject({ code: 'needs_person' });
    expect(refused.error.message).toContain('It carries: confidential (2) from default/default/files/tool/read');
    expect(refused.error.message).toContain('quarterdeck run release');
    expect(place.outside.uses.length).toBe(before);
    const row = await place.gateway.auditRow(({ agent, kind }) => agent === id && kind === 'refusal');
    expect(row.policies).toContain('platform/sink-secrecy');
    expect(row.facts).toMatchObject({ context: { flow: { secrecy: 2 } } });
  });

  test('what strangers wrote beside a secret closes even a way out that may be given it', async () => {
    const { id, token } = await place.agent();
    await place.ask(token, 'resources/read', { uri: 'note:///one' });
    expect(await labelOf(id)).toMatchObject({ secrecy: 1, tainted: false });
    expect(isOut(await place.call(token, 'post', { text: 'internal' })), 'post may be given what is internal').toBe(true);
    // the answer of the world outside is a stranger's word itself
    expect(await labelOf(id)).toMatchObject({ secrecy: 1, tainted: true });
    const refused = await place.call(token, 'post', { text: 'again' });
    expect(refused.error.message).toContain('untrusted content from default/default/outside/tool/post');
    expect(refused.error.data.code).toBe('needs_person');
  });

  test('a place of our own may be given what is no more secret than what it gives out', async () => {
    const { token } = await place.agent();
    expect(isOut(await place.call(token, 'save', { text: 'public' }))).toBe(true);
    await place.call(token, 'read');
    expect((await place.call(token, 'save', { text: 'secret' })).error.data.code).toBe('needs_person');
  });

  test('prompts, resources and completions are ways out too', async () => {
    const { token } = await place.agent();
    await place.call(token, 'read');
    const before = place.outside.uses.length;
    for (const [method, params] of [
      ['resources/read', { uri: 'out:///one' }],
      ['prompts/get', { name: 'out_ask', arguments: { text: 'secret' } }],
      ['completion/complete', { ref: { type: 'ref/prompt', name: 'out_ask' }, argument: { name: 'text', value: 'secret' } }],
    ] as const) {
      const { error } = await place.ask(token, method, params);
      expect(error.message, method).toContain('refused by platform/sink-read');
      expect(error.message, method).toContain('It carries: confidential (2) from default/default/files/tool/read');
    }
    const { token: fresh } = await place.agent();
    expect(isOut(await place.ask(fresh, 'prompts/get', { name: 'out_ask', arguments: { text: 'x' } }))).toBe(true);
    expect(place.outside.uses.length).toBe(before + 1);
  });

  test('one replica goes by what another has handed over, at once', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id, token } = await place.agent();
      const otherToken = await place.gateway.mint(id, `${other}/mcp/default/default/all`);
      // the other one has looked, and believes that nothing is carried
      expect(isOut(await place.call(otherToken, 'plain', {}, { url: other }))).toBe(true);
      expect(isOut(await place.call(token, 'read'))).toBe(true);
      const refused = await place.call(otherToken, 'post', { text: 'x' }, { url: other });
      expect(refused.error?.data.code).toBe('needs_person');
    }
  });

  test('a label is written before the server is asked: what fails and what is lost on the way leaves it too', async () => {
    const { id, token } = await place.agent();
    place.files.says.set('read', new Error('the secret is 1234'));
    const failed = await place.call(token, 'read');
    place.files.says.delete('read');
    expect(failed.error.message).toContain('1234');
    expect(await labelOf(id)).toMatchObject({ secrecy: 2 });
  });

  test('the same read again writes nothing, and joins of many at once lose nothing', async () => {
    const { id, token } = await place.agent();
    await Promise.all(Array.from({ length: 24 }, (_unused, index) => place.call(token, ['read', 'fetch', 'plain'][index % 3] ?? 'plain')));
    const label = await labelOf(id);
    expect(label).toMatchObject({ secrecy: 2, tainted: true });
    expect(label.sources.map(({ from }) => from).sort()).toEqual(['default/default/files/tool/read', 'default/default/web/tool/fetch']);
    const stamp = async () => {
      const sql = 'select xmin::text, updated_at from flow_labels where subject = $1';
      return (await place.gateway.database.$client.query(sql, [agentSubject(id)])).rows[0];
    };
    const written = await stamp();
    for (let index = 0; index < 5; index += 1) await place.call(token, 'read');
    expect(await stamp()).toEqual(written);
  });
});

describe('a person', () => {
  test('carries what they read by the client that they let in, and another client of theirs does not', async () => {
    await place.call(guestToken, 'read');
    expect((await place.call(guestToken, 'post', { text: 'x' })).error.data.code).toBe('needs_person');
    expect(isOut(await place.call(adminToken, 'post', { text: 'x' }))).toBe(true);
    const { rows } = await place.gateway.database.$client.query(
      `select subject from flow_labels where subject like 'token:%' and secrecy > 0`,
    );
    expect(rows).toEqual([{ subject: 'token:guest/guest-token' }]);
  });
});
