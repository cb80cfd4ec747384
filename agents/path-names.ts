const pathWords = new Set(
  'path paths file files filename filenames filepath filepaths directory directories dir dirs folder folders source destination root roots cwd'.split(
    ' ',
  ),
);

/** Whether a property's name says that its value is a path: `path`, `file_names`, `targetFolder`. */
export const isPathName = (name: string): boolean =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .some((word) => pathWords.has(word));

const relativePath = /^(\.{1,2}\/)?([\w.@+-]+\/)+[\w.@+-]*\.\w{1,8}$/;

/** Whether a text looks like a path: absolute, or relative with a folder and a file ending. A URL and `and/or` do not. */
export const looksLikePath = (text: string): boolean => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a text with control characters is no path
  if (text.length > 1024 || /[\u0000-\u001f\u007f]/.test(text)) return false;
  return /^\/(?!\/)/.test(text) ? text.trim() === text && !/^\/[*/]/.test(text) : relativePath.test(text);
};

/** Joins a folder and a name below it with one slash. */
export const joinPath = (folder: string, name: string): string => (folder === '' ? name : `${folder.replace(/\/+$/, '')}/${name}`);
