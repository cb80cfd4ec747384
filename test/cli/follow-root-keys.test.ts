import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dataFolderAt } from '../../cli/up/data-folder.ts';
import { followRootKeys } from '../../cli/up/follow-root-keys.ts';
import { changeRootKey, type Keys, loadKeys, readRootKeys } from '../../cli/up/keys.ts';
import { addVersion, dropVersion, parseRootKey } from '../../store/secrets/root-key.ts';
import { type RootKeyChange, takeUpRootKeys } from '../../store/secrets/root-versions.ts';
import { approvalKeyOf, deriveContentKeys, seal, sealedWith, unseal } from '../../store/secrets/seal.ts';
import { pollUntil } from '../support/poll-until.ts';

let root: string;
let keys: Keys;
let folder: ReturnType<typeof dataFolderAt>;
let lines: string[];
let told: (readonly RootKeyChange[])[];
let follower: ReturnType<typeof followRootKeys>;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'quarterdeck-root-keys-'));
  folder = dataFolderAt(root);
  keys = await loadKeys(folder);
  lines = [];
  told = [];
  const read = async () => readRootKeys(folder, {}, keys);
  follower = followRootKeys({ keys, read, onLine: (line) => lines.push(line), everyMs: 10, settleMs: 50 });
  follower.of('gateway').follow((changes) => told.push(changes));
});
afterEach(async () => {
  await follower.close();
  rmSync(root, { recursive: true, force: true });
});
const idsOf = (changes: readonly RootKeyChange[] | undefined, index = 0) =>
  parseRootKey(changes?.[index]?.next ?? '').versions.map(({ id }) => id);

test('a new version is told first as one that is known, then as the one that wraps, and a retired one is gone; whoever starts later hears it too', async () => {
  let made = '';
  changeRootKey(folder, 'gateway.key', (before) => {
    const added = addVersion(before, 'first');
    made = added.id;
    return added.root;
  });
  await pollUntil(() => told.length === 2 || undefined, 'two steps');
  // the gateway's own key, and the one that it shares with the api
  expect(told.map((changes) => [idsOf(changes), idsOf(changes, 2)])).toEqual([
    [
      [undefined, made],
      [undefined, made],
    ],
    [
      [made, undefined],
      [made, undefined],
    ],
  ]);
  expect(told[0]?.map(({ text }) => text)).toEqual(expect.arrayContaining([keys.gatewayKey, approvalKeyOf(keys.gatewayKey)]));
  // nobody is told of a key that it does not have
  expect(JSON.stringify(follower.of('worker').changes())).not.toContain(keys.gatewayKey);
  expect(follower.of('host').changes()).toEqual([]);

  changeRootKey(folder, 'gateway.key', (before) => dropVersion(before, undefined, []));
  await pollUntil(() => told.length === 3 || undefined, 'one step');
  expect(idsOf(follower.of('gateway').changes())).toEqual([made]);
});

test('keys that are in use follow: they seal by the new version, open what the old one sealed, and forget one that went', () => {
  const held = deriveContentKeys(keys.contentKey, 'follow');
  const old = seal(held, Buffer.from('old'), 'c');
  const { root: both, id } = addVersion(parseRootKey(keys.contentKey), 'first');
  const textOf = (rootKey: typeof both) =>
    rootKey.versions.map((each) => `${each.id ? `${each.id}:` : ''}${each.bytes.toString('base64')}`).join(' ');
  takeUpRootKeys([{ text: keys.contentKey, next: textOf(both) }]);
  const fresh = seal(held, Buffer.from('fresh'), 'c');
  expect([sealedWith(old), sealedWith(fresh)]).toEqual([undefined, id]);
  expect([old, fresh].map((sealed) => unseal(held, sealed, 'c').toString())).toEqual(['old', 'fresh']);
  takeUpRootKeys([{ text: keys.contentKey, next: textOf(dropVersion(both, undefined, [])) }]);
  expect(() => unseal(held, old, 'c')).toThrow(expect.objectContaining({ code: 'secret_unavailable' }));
  expect(unseal(held, fresh, 'c').toString()).toBe('fresh');
});

test.each([
  ['is damaged', 'not a key'],
  ['is another one', Buffer.alloc(32, 3).toString('base64')],
])('a file that %s changes nothing, which is said once; put right, it counts again', async (_what, text) => {
  const path = join(folder.keys, 'content.key');
  writeFileSync(path, text);
  await pollUntil(() => lines.length > 0 || undefined, 'a complaint');
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(lines).toEqual([expect.stringMatching(/not taken up: .*(damaged|another key)/)]);
  expect(lines[0]).not.toContain(text);
  expect(told).toEqual([]);
  writeFileSync(path, keys.contentKey);
  changeRootKey(folder, 'content.key', (before) => addVersion(before, 'first').root);
  await pollUntil(() => told.length === 2 || undefined, 'two steps');
});
