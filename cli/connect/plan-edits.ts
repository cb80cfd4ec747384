import { isDeepStrictEqual } from 'node:util';
import { CliError } from '../output/cli-error.ts';
import { type Addition, type ConfigFormat, findAddition } from './config-format.ts';
import { applyEdits, type TextEdit } from './text-edit.ts';

type Data = Record<string, unknown>;

const without = (data: Data, { kind, container, name }: Addition): Data => {
  const holder = data[container];
  if (kind === 'item')
    return { ...data, [container]: (Array.isArray(holder) ? holder : []).filter((item: { id?: unknown } | null) => item?.id !== name) };
  const { [name]: _, ...others } = (holder ?? {}) as Data;
  return { ...data, [container]: others };
};

const withIt = (data: Data, { kind, container, name, value }: Addition): Data => {
  const holder = data[container];
  return { ...data, [container]: kind === 'item' ? [...((holder as []) ?? []), value] : { ...(holder as object), [name]: value } };
};

/**
 * Edits that add or take out what belongs to a connection. They are made only when what is read of the file afterwards is what was read
 * before, and that one difference: whatever an unusual way to write a file does to an edit, nothing of others can be lost by it.
 * @throws {CliError} when the file cannot be read, or has to be changed by hand
 */
export const planEdits = (
  format: ConfigFormat,
  { text, file }: { text: string; file: string },
  what: 'add' | 'remove',
  additions: readonly Addition[],
): TextEdit[] => {
  const edits: TextEdit[] = [];
  let expected = format.read(text, file);
  let current = text;
  for (const addition of additions) {
    if ((findAddition(expected, addition) === undefined) !== (what === 'add')) continue;
    const steps = what === 'add' ? format.add(current, addition) : format.remove(current, addition);
    current = applyEdits(current, steps);
    edits.push(...steps);
    expected = what === 'add' ? withIt(expected, addition) : without(expected, addition);
  }
  let found: Data | undefined;
  try {
    found = format.read(current, file);
  } catch {
    // the file holds its entries in a form that cannot be added to
  }
  if (!isDeepStrictEqual(found, expected) && !isDeepStrictEqual(found, withoutEmpty(expected, additions)))
    throw new CliError(`${file} is written in a way that cannot be changed safely, so nothing was`, {
      next: 'use --print, and edit it by hand',
    });
  return edits;
};

/** TOML has no table left where its last entry was. */
const withoutEmpty = (data: Data, additions: readonly Addition[]): Data =>
  Object.fromEntries(
    Object.entries(data).filter(
      ([name, value]) => !(additions.some(({ container }) => container === name) && Object.keys((value ?? {}) as object).length === 0),
    ),
  );
