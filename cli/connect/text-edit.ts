/** Replaces `length` UTF-16 units at `offset` by `content`. */
export type TextEdit = { offset: number; length: number; content: string };

export const applyEdit = (text: string, { offset, length, content }: TextEdit): string =>
  text.slice(0, offset) + content + text.slice(offset + length);

/** Applies edits one after the other, each to what the one before it left. */
export const applyEdits = (text: string, edits: readonly TextEdit[]): string => edits.reduce(applyEdit, text);

/** What undoes the edits, in the order in which it has to be done; it holds what they took away, and nothing else of the text. */
export const undoOf = (text: string, edits: readonly TextEdit[]): TextEdit[] => {
  const undo: TextEdit[] = [];
  let current = text;
  for (const edit of edits) {
    const { offset, length, content } = edit;
    undo.unshift({ offset, length: content.length, content: current.slice(offset, offset + length) });
    current = applyEdit(current, edit);
  }
  return undo;
};

/** The characters that end lines here. */
export const lineEndOf = (text: string): string => (text.includes('\r\n') ? '\r\n' : '\n');

/** Line and column of an offset, from 1. */
export const placeIn = (text: string, offset: number): string => {
  const before = text.slice(0, offset).split('\n');
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
};
