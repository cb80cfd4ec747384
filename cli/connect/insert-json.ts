import { createScanner, type Node } from 'jsonc-parser';
import { lineEndOf, type TextEdit } from './text-edit.ts';

/** Kinds of tokens; the parser's own names for them exist for its compiler alone. */
const token = { comma: 5, lineComment: 12, blockComment: 13, lineBreak: 14, space: 15, end: 17 } as const;

const lineStart = (text: string, offset: number): number => text.lastIndexOf('\n', offset - 1) + 1;

/** White space that the line of an offset begins with. */
const indentAt = (text: string, offset: number): string => /^[ \t]*/.exec(text.slice(lineStart(text, offset)))?.[0] ?? '';

const isFirstOfLine = (text: string, offset: number): boolean => text.slice(lineStart(text, offset), offset).trim() === '';

/** How the file indents: what its first indented member is indented by. */
const unitOf = (text: string): string => /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';

/** The offset of the comma behind a child, if there is one, and the end of what belongs to its line: the comma, and comments after it. */
export const endOfChild = (text: string, offset: number): { comma: number | undefined; end: number } => {
  const scanner = createScanner(text, false);
  scanner.setPosition(offset);
  let comma: number | undefined;
  let end = offset;
  for (let kind = scanner.scan(); kind !== token.end; kind = scanner.scan()) {
    const isComment = kind === token.lineComment || kind === token.blockComment;
    const isFirstComma = kind === token.comma && comma === undefined;
    if (kind === token.space) continue;
    if (kind === token.lineBreak && (comma !== undefined || !isCommaNext(text, scanner.getPosition()))) break;
    if (kind === token.lineBreak) continue;
    if (!isComment && !isFirstComma) break;
    if (isFirstComma) comma = scanner.getTokenOffset();
    end = scanner.getTokenOffset() + scanner.getTokenLength();
  }
  return { comma, end };
};

/** Whether a comma is the next token that is no comment: some write it in front of the next line. */
const isCommaNext = (text: string, offset: number): boolean => {
  const scanner = createScanner(text, true);
  scanner.setPosition(offset);
  return scanner.scan() === token.comma;
};

/** JSON of a value: over several lines that begin with `indent`, or in one line. */
const render = (prefix: string, value: unknown, layout: { unit: string; indent: string; lineEnd: string } | 'one line'): string => {
  if (layout === 'one line') return prefix + JSON.stringify(value, undefined, 1).replaceAll(/\n\s*/g, ' ');
  const { unit, indent, lineEnd } = layout;
  return prefix + JSON.stringify(value, undefined, unit).split('\n').join(`${lineEnd}${indent}`);
};

/**
 * Edits that put a value behind all others of an object or a list, in the way the file is written.
 * @param prefix - `"name": ` for a member, nothing for an item
 */
export const insertJson = (text: string, container: Node, prefix: string, value: unknown): TextEdit[] => {
  const lineEnd = lineEndOf(text);
  const unit = unitOf(text);
  const outer = indentAt(text, container.offset);
  const close = container.offset + container.length - 1;
  const last = container.children?.at(-1);

  if (last === undefined) {
    const indent = outer + unit;
    const body = `${lineEnd}${indent}${render(prefix, value, { unit, indent, lineEnd })}`;
    const inside = text.slice(container.offset + 1, close);
    if (inside.trim() === '') return [{ offset: container.offset + 1, length: inside.length, content: `${body}${lineEnd}${outer}` }];
    // Comments stand in it: they keep their place in front.
    const offset = container.offset + 1 + inside.trimEnd().length;
    return [{ offset, length: 0, content: text.slice(offset, close).includes('\n') ? body : `${body}${lineEnd}${outer}` }];
  }

  const { comma, end } = endOfChild(text, last.offset + last.length);
  if (!text.slice(end, close).includes('\n'))
    return [{ offset: end, length: 0, content: `${comma === undefined ? ',' : ''} ${render(prefix, value, 'one line')}` }];
  const indent = isFirstOfLine(text, last.offset) ? indentAt(text, last.offset) : outer + unit;
  const body = `${lineEnd}${indent}${render(prefix, value, { unit, indent, lineEnd })}`;
  if (comma !== undefined) return [{ offset: end, length: 0, content: `${body},` }];
  // Behind a comment on the line of the last member, and the comma in front of that comment.
  return [
    { offset: end, length: 0, content: body },
    { offset: last.offset + last.length, length: 0, content: ',' },
  ];
};

/** Edits that take a child out of an object or a list, with its comma and its lines; comments stay. */
export const removeJson = (text: string, container: Node, child: Node): TextEdit[] => {
  const children = container.children ?? [];
  const before = children[children.indexOf(child) - 1];
  const childEnd = child.offset + child.length;
  const { comma } = endOfChild(text, childEnd);
  const edits: TextEdit[] = [];
  let start = child.offset;
  let end = comma === undefined ? childEnd : comma + 1;
  const lineEndsAt = text.indexOf('\n', end);
  if (isFirstOfLine(text, start) && lineEndsAt !== -1 && text.slice(end, lineEndsAt).trim() === '') {
    start = lineStart(text, start);
    end = lineEndsAt + 1;
  } else while (/[ \t]/.test(text[start - 1] ?? '')) start -= 1;
  edits.push({ offset: start, length: end - start, content: '' });
  // The last one goes: the comma of the one before it has nothing to divide any more.
  const leading = comma === undefined && before ? endOfChild(text, before.offset + before.length).comma : undefined;
  if (leading !== undefined) edits.push({ offset: leading, length: 1, content: '' });
  return edits;
};
