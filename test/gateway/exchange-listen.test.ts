import { expect, test } from 'vitest';
import { type ListenParts, listen } from '../../gateway/exchange/listen.ts';
import type { Subscription } from '../../gateway/exchange/subscribe-resource.ts';
import { PlatformError } from '../../schema/errors.ts';
import { requestOf } from '../support/surface-fixture.ts';

test('a stream that one of many subscriptions fails leaves none of the others behind', async () => {
  const stopped: string[] = [];
  const late = Promise.withResolvers<void>();
  const taken = (uri: string): Subscription => ({ kind: 'taken', stop: () => void stopped.push(uri) });
  const parts: ListenParts = {
    listsOf: () => ['tools'],
    watchLists: () => () => void stopped.push('lists'),
    subscribe: async (_request, uri) => {
      if (uri === 'failing') throw new PlatformError('server_unavailable', 'away');
      if (uri === 'late') await late.promise;
      return taken(uri);
    },
    taskOf: async () => undefined,
    watchTask: () => () => undefined,
    onDrain: () => () => undefined,
  };
  const notifications = { toolsListChanged: true, resourceSubscriptions: ['early', 'failing', 'late'] };
  await expect(listen(parts, requestOf('subscriptions/listen', { notifications }))).rejects.toMatchObject({ code: 'server_unavailable' });
  expect(stopped.toSorted()).toEqual(['early', 'lists']);
  late.resolve();
  await expect.poll(() => stopped).toContain('late');
});
