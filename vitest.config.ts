import { defineConfig } from 'vitest/config';

/**
 * Two suites that a change must pass, and three that are run for themselves. `quick` needs only Node, what npm brings, and Temporal; `full`
 * needs bubblewrap, apt or the tiny model; `soak` and `fuzz` need time, `figures` a quiet machine. The npm scripts `test`, `test:full`,
 * `soak`, `fuzz` and `figures` run one each and leave its report in `test-results/`, from which the status tables are computed.
 */
export default defineConfig({
  test: {
    pool: 'forks', // real Postgres, Temporal's native client and signals want processes of their own
    // on a busy machine a deadline of a test may pass before its turn; what fails twice is a fault
    retry: process.env.CI ? 1 : 0,
    globalSetup: ['./test/support/global-setup.ts'], // Postgres and Temporal for the run, started when first asked for
    projects: [
      {
        extends: true,
        test: {
          name: 'quick',
          include: ['test/**/*.test.ts'],
          exclude: ['test/full/**', 'test/soak/**'],
          testTimeout: 60_000, // a hung test is to end; a busy machine takes three times as long as a quiet one
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'full',
          include: ['test/full/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // One at a time: these tests kill processes, measure time and load the machine.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        // `npm run soak`: half an hour under load, or SOAK_MINUTES
        test: {
          name: 'soak',
          include: ['test/soak/**/*.test.ts'],
          testTimeout: 26 * 3_600_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        // `npm run fuzz`: ten minutes of requests that nobody would send, or FUZZ_MINUTES, and 100,000 decisions, or FUZZ_DECISIONS
        test: {
          name: 'fuzz',
          include: ['test/*/fuzz/**/*.fuzz.ts'],
          testTimeout: 26 * 3_600_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        // `npm run figures`: what a case says of speed, as `quarterdeck bench` measures it
        test: { name: 'figures', include: ['test/bench/figures/**/*.figures.ts'], fileParallelism: false },
      },
    ],
  },
});
