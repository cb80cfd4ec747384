import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { rotateRootKey } from '../../cli/commands/root-keys.ts';
import { dataFolderAt } from '../../cli/up/data-folder.ts';
import { changeRootKey, loadKeys } from '../../cli/up/keys.ts';
import { createPostgresAdapter } from '../../control/issuer/postgres-adapter.ts';
import { rotateSigningKeys } from '../../control/issuer/rotate-signing-keys.ts';
import { originalKey, type RootKeyVersion } from '../../schema/seal-key.ts';
import { createAuditPeople } from '../../store/audit-people.ts';
import { createContentStore } from '../../store/contents.ts';
import { listRootKeys } from '../../store/list-root-keys.ts';
import { operationText, readOperationOutcome } from '../../store/operation-outcome.ts';
import { createRewrapper } from '../../store/rewrap-sealed.ts';
import { askForSealKey, retireSealKey } from '../../store/seal-keys.ts';
import { openSealRing, type SealRing } from '../../store/seal-ring.ts';
import { addVersion, dropVersion, formatRootKey, parseRootKey, putFirst } from '../../store/secrets/root-key.ts';
import { approvalKeyOf, deriveContentKeys, deriveKey, deviceCodeKeyOf, seal, sealedWith, unseal } from '../../store/secrets/seal.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { pollUntil } from '../support/poll-until.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const logger = createLogger({ name: 'test', level: 'silent' });
const first = Buffer.alloc(32, 7).toString('base64');
const lab = { org: 'acme', project: 'lab' };
const announced = addVersion(parseRootKey(first), 'second');
const versions = { old: first, announced: formatRootKey(announced.root), fresh: formatRootKey(putFirst(announced.root, announced.id)) };
const versionsOf = (text: string) =>
  listRootKeys(database(), { 'content.key': text, 'gateway.key': approvalKeyOf(text), 'issuer.key': text });
const versionOf = async (text: string, name: string, id: string): Promise<RootKeyVersion | undefined> =>
  (await versionsOf(text)).find((each) => each.name === name && each.id === id);

test('a root key is one word, or a word for each version; what is made from it has the same versions and the same names', () => {
  expect(parseRootKey(versions.fresh).versions.map(({ id }) => id)).toEqual([announced.id, undefined]);
  expect(parseRootKey(approvalKeyOf(versions.fresh)).versions.map(({ id }) => id)).toEqual([announced.id, undefined]);
  const digest = deriveContentKeys(deriveKey(first, 'audit'), 'audit-people').digest;
  const retired = formatRootKey(dropVersion(parseRootKey(versions.fresh), undefined, ['audit/audit-people']));
  expect(retired).not.toContain(first);
  for (const text of [versions.announced, versions.fresh, retired])
    expect(deriveContentKeys(deriveKey(text, 'audit'), 'audit-people').digest).toEqual(digest);
  for (const damaged of ['', 'short', `${first} ${first}`, `xyz:${first}`, `${first} name:x`]) {
    const read = () => parseRootKey(damaged);
    expect(read, damaged).toThrow(expect.objectContaining({ code: 'secret_unavailable' }));
    expect(read).not.toThrow(first);
  }
});

test('what each version sealed is opened by all who know it, before and after it wraps, and by nobody who does not', () => {
  const [old, known, fresh] = [versions.old, versions.announced, versions.fresh].map((text) => deriveContentKeys(text, 'p'));
  if (!old || !known || !fresh) throw new Error('three');
  const [byOld, byKnown, byFresh] = [old, known, fresh].map((keys) => seal(keys, Buffer.from('x'), 'c'));
  expect([byOld, byKnown, byFresh].map((sealed) => sealedWith(sealed as Buffer))).toEqual([undefined, undefined, announced.id]);
  for (const keys of [known, fresh])
    for (const sealed of [byOld, byKnown, byFresh]) expect(unseal(keys, sealed as Buffer, 'c').toString()).toBe('x');
  expect(() => unseal(old, byFresh as Buffer, 'c')).toThrow(expect.objectContaining({ code: 'secret_unavailable' }));
  const retired = deriveContentKeys(formatRootKey(dropVersion(parseRootKey(versions.fresh), undefined, [])), 'p');
  expect(() => unseal(retired, byOld as Buffer, 'c')).toThrow(expect.objectContaining({ code: 'secret_unavailable' }));
  expect(unseal(retired, byFresh as Buffer, 'c').toString()).toBe('x');
});

/** Two replicas with what they need of a root key: one writes, the other reads what it wrote, all the time. */
const startReplica = async (text: string) => {
  const options = { database: database(), logger, pollMs: 20, sealsAfterMs: 0 };
  const rings: SealRing[] = [
    await openSealRing({ ...options, name: 'gateway', master: text }),
    await openSealRing({ ...options, name: 'approvals', master: approvalKeyOf(text) }),
    await openSealRing({ ...options, name: 'people', master: deriveKey(text, 'audit') }),
    await openSealRing({ ...options, name: 'grants', master: deriveKey(text, 'grants') }),
  ];
  const [gateway, , people] = rings as [SealRing, SealRing, SealRing, SealRing];
  return {
    rings,
    gateway,
    contents: createContentStore(database(), deriveContentKeys(text, 'content')),
    people: createAuditPeople({ database: database(), keys: people.keys('audit-people') }),
    close: () => Promise.all(rings.map((ring) => ring.close())),
  };
};
type Replica = Awaited<ReturnType<typeof startReplica>>;

test('all wrapping keys rotate while two replicas start anew one after the other: no call fails, names stay, and the old one goes when nothing needs it', async () => {
  const replicas: [Replica, Replica] = [await startReplica(versions.old), await startReplica(versions.old)];
  const [pseudonym, digest] = [
    await replicas[0].people.pseudonymOf({ org: 'acme', id: 'ada' }),
    await replicas[0].contents.put(lab, 'the first document', 'test'),
  ];
  for (const ring of replicas[0].rings) await askForSealKey(database(), ring.name);
  await pollUntil(
    async () => replicas.every(({ rings }) => rings.every((ring) => ring.currentId() !== undefined)) || undefined,
    'keys seal',
  );

  let calls = 0;
  const failures: unknown[] = [];
  let isOver = false;
  const traffic = (async () => {
    while (!isOver) {
      const [writer, reader] = calls % 2 === 0 ? replicas : [replicas[1], replicas[0]];
      const key = { ...lab, principal: 'agent:a', id: `op_${calls}` };
      try {
        const outcome = seal(writer.gateway.keys('operations'), Buffer.from(String(calls)), operationText(key));
        await database().execute(sql`insert into operations (org, project, id, principal, target, arguments_digest, state, gateway_instance, outcome)
          values ('acme', 'lab', ${key.id}, 'agent:a', 't', 'd', 'settled', 'i', ${outcome})`);
        expect(await readOperationOutcome(database(), reader.gateway.keys('operations'), key)).toBe(calls);
        expect(await reader.contents.get(lab, await writer.contents.put(lab, `document ${calls}`, 'test'))).toBe(`document ${calls}`);
        expect(await reader.people.pseudonymOf({ org: 'acme', id: 'ada' })).toBe(pseudonym);
      } catch (error) {
        failures.push(error);
      }
      calls += 1;
    }
  })();
  const startAnew = async (index: 0 | 1, text: string): Promise<void> => {
    const before = replicas[index];
    replicas[index] = await startReplica(text);
    const seen = calls;
    await pollUntil(async () => calls > seen + 4 || undefined, 'calls go on');
    await before.close();
  };
  for (const text of [versions.announced, versions.fresh])
    for (const index of [0, 1] as const) {
      await startAnew(index, text);
      await replicas[index].contents.ring.rewrap();
    }
  for (const name of ['content.key', 'gateway.key'])
    await pollUntil(
      async () => (await versionOf(versions.fresh, name, originalKey))?.wraps === 0 || undefined,
      `nothing is wrapped by the old ${name}`,
    );

  // made from the old one are keys from before any rotation: they go first
  expect((await versionOf(versions.fresh, 'content.key', originalKey))?.needed).toEqual(['people/original', 'grants/original']);
  for (const ring of replicas[0].rings) {
    const rewrap = createRewrapper({ database: database(), ring, logger });
    while (!(await rewrap()).isDone);
    await retireSealKey(database(), { name: ring.name, id: originalKey }, new Date(Date.now() + 1000), 0);
  }
  expect(await versionsOf(versions.fresh)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'content.key', id: announced.id, state: 'wraps', needed: [] }),
      { name: 'content.key', id: originalKey, state: 'opens', wraps: 0, needed: [] },
      { name: 'gateway.key', id: originalKey, state: 'opens', wraps: 0, needed: [] },
    ]),
  );
  const retired = formatRootKey(dropVersion(parseRootKey(versions.fresh), undefined, ['content', 'audit/audit-people']));
  for (const index of [0, 1] as const) await startAnew(index, retired);
  isOver = true;
  await traffic;
  expect(failures).toEqual([]);
  expect(calls).toBeGreaterThan(20);
  expect(await replicas[0].contents.get(lab, digest)).toBe('the first document');
  expect(await replicas[0].contents.put(lab, 'the first document', 'test')).toBe(digest);
  await Promise.all(replicas.map((replica) => replica.close()));
  // who has the old key alone opens nothing any more
  await expect(startReplica(versions.old)).rejects.toMatchObject({ code: 'secret_unavailable' });
});

test("the issuer's seal rotates: its signing keys stay the same and stand on the new version, and codes of devices are still found", async () => {
  const start = (sealingKey: string) => rotateSigningKeys({ database: database(), sealingKey, logger, pollMs: 20 });
  const noClient = async () => undefined;
  const cookieKey = 'a-key-for-cookies-of-at-least-32-characters';
  const devices = (text: string) => createPostgresAdapter(database(), noClient, deviceCodeKeyOf(text, cookieKey))('DeviceCode');
  const before = await start(versions.old);
  await devices(versions.old).upsert('a-device-code', { userCode: 'ABCD', kind: 'DeviceCode', exp: 9e9 }, 600);
  const known = await start(versions.announced);
  const after = await start(versions.fresh);
  expect(after.current().map(({ kid, d }) => [kid, d])).toEqual(before.current().map(({ kid, d }) => [kid, d]));
  await before.close();
  await known.close();
  await pollUntil(
    async () => (await versionOf(versions.fresh, 'issuer.key', announced.id))?.wraps === 2 || undefined,
    'signing keys are sealed anew',
  );
  expect(await devices(versions.fresh).findByUserCode('ABCD')).toMatchObject({ jti: 'a-device-code' });
  expect((await versionOf(versions.fresh, 'issuer.key', originalKey))?.wraps).toBe(1);
  await devices(versions.fresh).upsert('another-code', { userCode: 'EFGH', kind: 'DeviceCode', exp: 9e9 }, 600);
  expect((await versionOf(versions.fresh, 'issuer.key', announced.id))?.wraps).toBe(3);
  await devices(versions.fresh).destroy('a-device-code');
  expect((await versionOf(versions.fresh, 'issuer.key', originalKey))?.wraps).toBe(0);
  await after.close();
});

test('versions are added to the files of a data folder, which stay closed, and read at the next start', async () => {
  const data = mkdtempSync(join(tmpdir(), 'quarterdeck-keys-'));
  const folder = dataFolderAt(data);
  const made = await loadKeys(folder);
  for (const name of ['content.key', 'gateway.key', 'issuer.key'] as const) await rotateRootKey(name, { data });
  const keys = await loadKeys(folder);
  for (const [before, now] of [
    [made.contentKey, keys.contentKey],
    [made.gatewayKey, keys.gatewayKey],
    [made.issuerKey, keys.issuerKey],
  ]) {
    expect(now?.split(' ')).toHaveLength(2);
    expect(now?.split(' ')[1]).toBe(before);
  }
  const path = join(folder.keys, 'issuer.key');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await rotateRootKey('content.key', { data, announce: true });
  const [, second] = parseRootKey((await loadKeys(folder)).contentKey).versions;
  await expect(rotateRootKey('content.key', { data, use: '0000000000000000' })).rejects.toThrow('no version');
  await rotateRootKey('content.key', { data, use: second?.id ?? '' });
  expect(parseRootKey(readFileSync(join(folder.keys, 'content.key'), 'utf8')).versions[0]?.id).toBe(second?.id);
  await changeRootKey(folder, 'issuer.key', (root) => dropVersion(root, undefined, []));
  expect((await loadKeys(folder)).issuerKey).not.toContain(made.issuerKey);
  rmSync(data, { recursive: true });
});
