import { expect, test } from 'vitest';
import { renderTemplate } from '../../activities/render-template.ts';

const context = { inputs: { topic: 'ships' }, run: { id: 'run_1' }, stages: { read: { outputs: [{ path: '/input/a' }] } } };
const render = (template: string) => renderTemplate(template, context);

test('renders over inputs, stages and the run', () => {
  expect(
    render('{{ inputs.topic | upcase }} {% for card in stages.read.outputs %}{{ card.path | remove_first: "/input/" }}{% endfor %}'),
  ).toEqual({
    ok: true,
    value: 'SHIPS a',
  });
  expect(render('{% if stages.read.outputs[0].risk %}x{% endif %}{{ item | default: "none" }}')).toEqual({ ok: true, value: 'none' });
});

test.each([
  ['an unknown name', '{{ inputs.nobody }}', 'undefined variable'],
  ['an unknown filter', '{{ inputs.topic | shout }}', 'undefined filter'],
  ['a file of the worker', '{% include "/etc/passwd" %}', 'does not render'],
  ['a file of the worker, rendered', '{% render "package.json" %}', 'does not render'],
  ['a layout', '{% layout "package.json" %}', 'does not render'],
  ['the clock', '{{ "now" | date: "%s" }}', 'current time'],
  ['chance', '{{ stages.read.outputs | sample }}', 'not random'],
  ['what JavaScript inherits', '{{ inputs.constructor.name }}', 'undefined variable'],
  ['a loop without end', '{% for a in (1..100000000) %}{% for b in (1..100000000) %}x{% endfor %}{% endfor %}', 'does not render'],
  ['bad syntax', '{% for %}', 'does not render'],
])('does not render %s', (_what, template, problem) => {
  expect(render(template)).toEqual({ ok: false, problem: expect.stringContaining(problem) });
});

test('says what is wrong without quoting values', () => {
  const rendered = render('{{ stages.read.outputs[0].path | date_of }}');
  expect(rendered.ok === false && rendered.problem).not.toContain('/input/a');
});
