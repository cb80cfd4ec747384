import { expect, test } from 'vitest';
import { readRealModel } from '../../cli/bench/read-real-model.ts';

const environment = { OPENAI_API_KEY: 'a', ANTHROPIC_API_KEY: 'b', HOUSE_KEY: 'c', EMPTY_KEY: '' };

test('the key of a known provider is found by its address, that of another one by its name', () => {
  expect(readRealModel({ model: 'gpt' }, environment)).toEqual({
    ...{ model: 'gpt', baseUrl: 'https://api.openai.com/v1', keyVariable: 'OPENAI_API_KEY' },
    price: { inputMicroUsdPerMillion: 0, outputMicroUsdPerMillion: 0 },
  });
  expect(readRealModel({ model: 'claude', modelUrl: 'https://api.anthropic.com/v1/' }, environment)).toMatchObject({
    ...{ baseUrl: 'https://api.anthropic.com/v1', keyVariable: 'ANTHROPIC_API_KEY' },
  });
  const ofHouse = { model: 'ours', modelUrl: 'http://10.0.0.7:8000/v1', modelKey: 'HOUSE_KEY', modelPrice: '2.50,10' };
  const read = readRealModel(ofHouse, environment);
  expect(read).toMatchObject({
    keyVariable: 'HOUSE_KEY',
    price: { inputMicroUsdPerMillion: 2_500_000, outputMicroUsdPerMillion: 10_000_000 },
  });
  // the value stays where it is
  expect(JSON.stringify(read)).not.toContain('"c"');
  expect(readRealModel({}, environment)).toBeUndefined();
});

test.each([
  [{ model: 'gpt' }, {}, 'there is no key for gpt at api.openai.com', 'set the environment variable OPENAI_API_KEY'],
  [{ model: 'ours', modelUrl: 'http://10.0.0.7/v1', modelKey: 'EMPTY_KEY' }, environment, 'there is no key for ours', 'EMPTY_KEY'],
  [
    { model: 'ours', modelUrl: 'http://10.0.0.7/v1' },
    environment,
    'it is not known which environment variable has the key for 10.0.0.7',
    '--model-key',
  ],
  [{ model: 'ours', modelUrl: 'our-server' }, environment, '--model-url our-server is no URL', 'https://'],
  [{ model: 'gpt', modelPrice: 'cheap' }, environment, '--model-price cheap is not two prices', '2.50,10'],
  [{ modelUrl: 'https://api.openai.com/v1' }, environment, 'are about --model', 'name the model too'],
])('%o says what is missing and what to do', (options, given, what, next) => {
  expect(() => readRealModel(options, given)).toThrow(
    expect.objectContaining({ message: expect.stringContaining(what), next: expect.stringContaining(next), exitCode: 2 }),
  );
});
