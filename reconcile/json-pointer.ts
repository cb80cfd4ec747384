/** Parts of a JSON pointer (RFC 6901), unescaped; none of the empty one, which is the whole. */
export const pointerParts = (pointer: string): string[] =>
  pointer === ''
    ? []
    : pointer
        .slice(1)
        .split('/')
        .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

/** `/a` and a member -> `/a/member`, escaped. */
export const pointerInto = (pointer: string, part: string | number): string =>
  `${pointer}/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** What a pointer points at, or undefined; own members only, so that `/constructor` is nothing. */
export const valueAt = (value: unknown, pointer: string): unknown => {
  let found = value;
  for (const part of pointerParts(pointer)) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return undefined;
    found = (found as Record<string, unknown>)[part];
  }
  return found;
};

/** Whether one of both lies in the other, or they are the same; `*` in the pattern is any one part. The empty pattern touches all. */
export const touches = (pattern: string, pointer: string): boolean => {
  const [left, right] = [pointerParts(pattern), pointerParts(pointer)];
  return left.slice(0, right.length).every((part, index) => part === '*' || part === right[index]);
};

/** Equal as JSON: members in any order. */
export const isEqualJson = (left: unknown, right: unknown): boolean => {
  if (Object.is(left, right)) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length &&
    names.every(
      (name) =>
        Object.hasOwn(right, name) && isEqualJson((left as Record<string, unknown>)[name], (right as Record<string, unknown>)[name]),
    )
  );
};
