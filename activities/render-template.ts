import { Liquid } from 'liquidjs';
import type { RenderTemplate } from '../agents/resolve-stage.ts';

const engine = new Liquid({
  strictFilters: true,
  strictVariables: true,
  lenientIf: true,
  ownPropertyOnly: true,
  // an empty set of partials in the place of the file system: a fleet cannot read the worker's files
  templates: {},
  parseLimit: 262_144,
  renderLimit: 2000,
  memoryLimit: 10_000_000,
});

const dateFilter = engine.filters.date as (this: unknown, value: unknown, ...options: unknown[]) => unknown;

// The same run must give the same text each time it is asked, or a retry would make other agents.
engine.registerFilter('date', function (this: unknown, value: unknown, ...options: unknown[]) {
  if (value === 'now' || value === 'today') throw new Error('the current time is not known to templates');
  return dateFilter.call(this, value, ...options);
});
engine.registerFilter('sample', () => {
  throw new Error('templates are not random');
});

/** LiquidJS quotes the template and the values after the first line. */
const firstLine = (error: unknown): string => (error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'it does not render');

/**
 * Renders Liquid text over a stage's names. Unknown variables and filters are problems, not blanks; there are no files to include, no
 * clock and no randomness.
 * @see https://liquidjs.com/tutorials/options.html
 */
export const renderTemplate: RenderTemplate = (template, context) => {
  try {
    return { ok: true, value: String(engine.parseAndRenderSync(template, context as object)) };
  } catch (error) {
    return { ok: false, problem: `a template does not render: ${firstLine(error)}` };
  }
};
