import { findNodeAtLocation, type Node, type ParseError, parse, parseTree, printParseErrorCode } from 'jsonc-parser';
import { CliError } from '../output/cli-error.ts';
import type { Addition, ConfigFormat } from './config-format.ts';
import { insertJson, removeJson } from './insert-json.ts';
import { placeIn, type TextEdit } from './text-edit.ts';

const options = { allowTrailingComma: true, disallowComments: false };

const refuse = (file: string, text: string, offset: number, message: string): never => {
  throw new CliError(`${file} cannot be read, so nothing was changed`, {
    code: 'input_invalid',
    issues: [{ place: `${file}:${placeIn(text, offset)}`, field: '', message }],
    next: 'correct that line, or use --print and add the entry yourself',
  });
};

/** Readers of JSON take one of two equal names, and not all the same one. */
const refuseTwice = (object: Node | undefined, file: string, text: string): void => {
  const seen = new Set<unknown>();
  for (const member of object?.type === 'object' ? (object.children ?? []) : []) {
    const [name] = member.children ?? [];
    if (seen.has(name?.value)) refuse(file, text, name?.offset ?? 0, `${JSON.stringify(name?.value)} stands here for the second time`);
    seen.add(name?.value);
  }
};

const read = (text: string, file: string): Record<string, unknown> => {
  if (text.trim() === '') return {};
  const errors: ParseError[] = [];
  const data: unknown = parse(text, errors, options);
  const [error] = errors;
  if (error)
    refuse(
      file,
      text,
      error.offset,
      printParseErrorCode(error.error).replaceAll(/(?<!^)([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`),
    );
  const root = parseTree(text, [], options);
  if (root?.type !== 'object') refuse(file, text, 0, 'it holds no object');
  refuseTwice(root, file, text);
  for (const member of root?.children ?? []) refuseTwice(member.children?.[1], file, text);
  return data as Record<string, unknown>;
};

const prefixOf = ({ kind, name }: Addition): string => (kind === 'member' ? `${JSON.stringify(name)}: ` : '');

const write = (additions: readonly Addition[]): string => {
  const document: Record<string, unknown> = {};
  for (const { kind, container, name, value } of additions)
    document[container] =
      kind === 'member' ? { ...(document[container] as object), [name]: value } : [...((document[container] as []) ?? []), value];
  return `${JSON.stringify(document, undefined, 2)}\n`;
};

const add = (text: string, addition: Addition): TextEdit[] => {
  const root = parseTree(text, [], options);
  if (root === undefined) return [{ offset: text.length, length: 0, content: write([addition]) }];
  const container = findNodeAtLocation(root, [addition.container]);
  const holder = addition.kind === 'member' ? { [addition.name]: addition.value } : [addition.value];
  return container
    ? insertJson(text, container, prefixOf(addition), addition.value)
    : insertJson(text, root, `${JSON.stringify(addition.container)}: `, holder);
};

const remove = (text: string, { kind, container: name, name: entry }: Addition): TextEdit[] => {
  const root = parseTree(text, [], options);
  const container = root && findNodeAtLocation(root, [name]);
  const child = container?.children?.find((node) =>
    kind === 'member' ? node.children?.[0]?.value === entry : findNodeAtLocation(node, ['id'])?.value === entry,
  );
  return container && child ? removeJson(text, container, child) : [];
};

/** JSON as people write it: with comments and trailing commas, both kept. */
export const jsonFormat: ConfigFormat = { read, add, remove, write };
