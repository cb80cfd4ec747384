import { inject } from 'vitest';

/** Address of a server that the tests of one run share; the first who asks waits for its start. */
export const testService = async (name: 'postgres' | 'temporal'): Promise<string> => {
  const response = await fetch(`${inject('testServicesUrl')}/${name}`);
  const text = await response.text();
  if (!response.ok) throw new Error(`${name} for tests: ${text}`);
  return text;
};
