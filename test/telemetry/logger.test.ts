import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** What a process of its own writes to its log when it runs these lines. */
const logOf = (lines: string): Record<string, unknown>[] => {
  const file = (path: string): string => JSON.stringify(join(import.meta.dirname, '../../telemetry', path));
  const script = `import { createLogger } from ${file('logger.ts')}; import { redactor } from ${file('redactor.ts')};
    const logger = createLogger({ name: 'test' }); ${lines}`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  return stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
};

test('a known secret is in no line of a log: not in a message, an error, its stack, or a child logger', () => {
  const lines = logOf(`redactor.know('hunter2-the-second');
    const error = new Error('login with hunter2-the-second failed', { cause: new Error('hunter2-the-second') });
    logger.info('it is hunter2-the-second');
    logger.error({ err: error, server: 'hunter2-the-second' }, 'failed');
    logger.child({ part: 'x', run: 'hunter2-the-second' }).warn({ detail: 'aHVudGVyMi10aGUtc2Vjb25k' }, 'hunter2-the-second');`);
  expect(lines).toHaveLength(3);
  expect(JSON.stringify(lines)).not.toMatch(/hunter2|aHVudGVyMi10aGUtc2/);
  expect(lines[0]?.msg).toMatch(/^it is \[secret:[0-9a-f]{12}\]$/);
});

test('a text under a name that nobody allowed is left out, and the record says so; numbers pass', () => {
  const [line] = logOf(
    `logger.info({ tool: 'read', prompt_text: 'once upon a time', body: { a: 'b' }, waiting: 3, token: 'x' }, 'called');`,
  );
  expect(line).toMatchObject({ tool: 'read', waiting: 3, withheld: ['prompt_text', 'body', 'token'] });
  expect(JSON.stringify(line)).not.toMatch(/once|"b"/);
});
