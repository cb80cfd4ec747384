import fc from 'fast-check';
import { parse } from 'jsonc-parser';
import { describe, expect, test } from 'vitest';
import type { Addition } from '../../cli/connect/config-format.ts';
import { jsonFormat } from '../../cli/connect/json-format.ts';
import { planEdits } from '../../cli/connect/plan-edits.ts';
import { applyEdits, undoOf } from '../../cli/connect/text-edit.ts';
import { tomlFormat } from '../../cli/connect/toml-format.ts';

const server: Addition = { kind: 'member', container: 'mcpServers', name: 'ours', value: { type: 'http', url: 'http://x/mcp' } };
const input: Addition = { kind: 'item', container: 'inputs', name: 'token', value: { id: 'token', password: true } };

const addTo = (text: string, additions: Addition[] = [server]) => {
  const edits = planEdits(jsonFormat, { text, file: 'f' }, 'add', additions);
  return { after: applyEdits(text, edits), undo: undoOf(text, edits) };
};
const takeFrom = (text: string, additions: Addition[] = [server]) =>
  applyEdits(text, planEdits(jsonFormat, { text, file: 'f' }, 'remove', additions));
const comments = (text: string): string[] => text.match(/\/\/.*|\/\*[\s\S]*?\*\//g) ?? [];

const lines = (...all: string[]) => all.join('\n');

describe('JSON as people write it', () => {
  test.each([
    [
      'with a comment behind the last entry',
      lines('{', '  "mcpServers": {', '    "a": {} // first', '  }', '}'),
      lines('    "a": {}, // first', '    "ours": {'),
    ],
    [
      'with a trailing comma',
      lines('{', '  "mcpServers": {', '    "a": {}, /* first */', '  },', '}'),
      lines('    "a": {}, /* first */', '    "ours": {'),
    ],
    [
      'with tabs',
      lines('{', '\t"mcpServers": {', '\t\t"a": {}', '\t}', '}'),
      lines('\t\t"a": {},', '\t\t"ours": {', '\t\t\t"type": "http",'),
    ],
    [
      'with four spaces',
      lines('{', '    "mcpServers": {', '        "a": {}', '    }', '}'),
      lines('        "ours": {', '            "type": "http",'),
    ],
    ['in one line', '{ "mcpServers": { "a": {} } }', '{ "mcpServers": { "a": {}, "ours": { "type": "http", "url": "http://x/mcp" } } }'],
    ['with an empty container', lines('{', '  "mcpServers": {}', '}'), lines('  "mcpServers": {', '    "ours": {')],
    [
      'with a comment alone in it',
      lines('{', '  "mcpServers": {', '    // none yet', '  }', '}'),
      lines('    // none yet', '    "ours": {'),
    ],
    [
      'without the container',
      lines('{', '  "theme": "dark" // mine', '}'),
      lines('  "theme": "dark", // mine', '  "mcpServers": {', '    "ours": {'),
    ],
    ['with commas in front', lines('{', '  "mcpServers": {', '      "a": {}', '    , "b": {} // second', '  }', '}'), '"ours": {'],
    [
      'with a comment over several lines behind the last entry',
      lines('{ "mcpServers": {', '  "a": {} /* one', '  two */', '} }'),
      lines('  two */', '  "ours": {'),
    ],
    ['with Windows lines', '{\r\n  "mcpServers": {\r\n    "a": {}\r\n  }\r\n}\r\n', '    "a": {},\r\n    "ours": {\r\n'],
    ['that is empty', '', '{\n  "mcpServers": {\n    "ours": {'],
    ['that is an empty object', '{}', '{\n  "mcpServers": {\n    "ours": {'],
    [
      'with a name that looks like ours in a text',
      lines('{', '  "note": "\\"mcpServers\\": {", // {', '  "mcpServers": { "a": {} }', '}'),
      '"ours": {',
    ],
  ])('takes an entry %s', (_what, before, part) => {
    const { after, undo } = addTo(before);
    expect(after).toContain(part);
    expect(parse(after).mcpServers.ours).toEqual(server.value);
    for (const comment of comments(before)) expect(after).toContain(comment);
    expect(applyEdits(after, undo)).toBe(before);
    const cut = takeFrom(after);
    expect(parse(cut)?.mcpServers?.ours).toBeUndefined();
    for (const comment of comments(before)) expect(cut).toContain(comment);
  });

  test('keeps a list and its comments when an item comes and goes', () => {
    const before = lines('{', '  "inputs": [', '    { "id": "a" }, // one', '    // two', '  ]', '}');
    const { after, undo } = addTo(before, [input]);
    expect(parse(after).inputs).toEqual([{ id: 'a' }, input.value]);
    expect(applyEdits(after, undo)).toBe(before);
    expect(takeFrom(after, [input])).toBe(before);
  });

  test('in any layout is the same as before when what was added is taken out again', () => {
    const value = fc.jsonValue({ maxDepth: 2 });
    const servers = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd "e"'), value, { maxKeys: 3 });
    const document = fc.record({ first: value, mcpServers: servers, last: value }, { requiredKeys: [] });
    fc.assert(
      fc.property(document, fc.constantFrom(undefined, 2, 4, '\t'), fc.boolean(), fc.boolean(), (data, indent, isWindows, hasEnd) => {
        const plain = JSON.stringify(data, undefined, indent) + (hasEnd ? '\n' : '');
        const before = isWindows ? plain.replaceAll('\n', '\r\n') : plain;
        const { after, undo } = addTo(before, [server, input]);
        expect(parse(after)).toEqual({
          ...parse(before),
          mcpServers: { ...parse(before).mcpServers, ours: server.value },
          inputs: [input.value],
        });
        expect(applyEdits(after, undo)).toBe(before);
        expect(parse(takeFrom(after, [server, input]))).toEqual({
          ...parse(before),
          mcpServers: { ...parse(before).mcpServers },
          inputs: [],
        });
      }),
    );
  });

  test.each([
    ['{\n  "a": 1\n  "b": 2\n}', 'settings:3:3'],
    ['{\n  "mcpServers": {\n', 'settings:3:1'],
    ['[]', 'settings:1:1'],
    ['{ "mcpServers": {},\n  "mcpServers": {} }', 'settings:2:3'],
    ['{ "mcpServers": { "a": 1,\n "a": 2 } }', 'settings:2:2'],
  ])('that cannot be read is refused with its place: %j', (text, place) => {
    expect(() => jsonFormat.read(text, 'settings')).toThrow(expect.objectContaining({ issues: [expect.objectContaining({ place })] }));
  });

  test('whose container is something else is refused', () => {
    expect(() => addTo('{ "mcpServers": [1] }')).toThrow('cannot be changed safely');
    expect(() => addTo('{ "mcpServers": "none" }')).toThrow('cannot be changed safely');
  });
});

describe('TOML', () => {
  const table: Addition = {
    kind: 'member',
    container: 'mcp_servers',
    name: 'ours',
    value: { url: 'http://x/mcp', bearer_token_env_var: 'T' },
  };
  const add = (text: string) => {
    const edits = planEdits(tomlFormat, { text, file: 'config.toml' }, 'add', [table]);
    return { after: applyEdits(text, edits), undo: undoOf(text, edits) };
  };
  const take = (text: string) => applyEdits(text, planEdits(tomlFormat, { text, file: 'config.toml' }, 'remove', [table]));
  const others = lines(
    '# my settings',
    'model = "o9"   # the best',
    'notify = [',
    '  "a", # one',
    ']',
    "text = '''",
    '[mcp_servers.ours]',
    "'''",
    'when = 2026-11-22',
    '',
    '[mcp_servers.other]  # mine',
    'command = "x"',
    '# to be changed',
    '',
    '[[profiles]]',
    'name = "p"',
  );

  test.each(['', '\n', '\n\n\n', '\r\n'])('is the same as before when what was added is taken out again, ending with %j', (end) => {
    const before = others + end;
    const { after, undo } = add(before);
    expect(after.startsWith(others)).toBe(true);
    expect(tomlFormat.read(after, 'f').mcp_servers).toMatchObject({ other: { command: 'x' }, ours: table.value });
    expect(applyEdits(after, undo)).toBe(before);
  });

  test('loses the table and the tables in it alone, when others stand behind them', () => {
    const before = lines(
      others,
      '',
      '[mcp_servers.ours]',
      'url = "http://x/mcp"',
      'enabled = true # for now',
      'args = [',
      '  [ "x" ],',
      ']',
      '[mcp_servers."ours".tools.x]',
      'approval = "never"',
      '',
      '# about the next one',
      '[mcp_servers.ours-too]',
      'url = "y"',
      '',
    );
    const after = take(before);
    expect(after).toBe(lines(others, '', '# about the next one', '[mcp_servers.ours-too]', 'url = "y"', ''));
  });

  test('whose servers stand in one line is refused, because no table can be added to that', () => {
    for (const text of ['mcp_servers = { other = { command = "x" } }', 'mcp_servers = 1'])
      expect(() => add(text)).toThrow('cannot be changed safely');
    expect(add('mcp_servers.other.command = "x"').after).toContain('[mcp_servers.ours]');
  });

  test('that cannot be read is refused with its place', () => {
    expect(() => tomlFormat.read('a = 1\nb = [1,\n[x]\n', 'config.toml')).toThrow(
      expect.objectContaining({ issues: [expect.objectContaining({ place: expect.stringMatching(/^config\.toml:[23]:\d+$/) })] }),
    );
  });
});
