/**
 * A map that keeps what was used last and has a bound: two halves, of which the older one is dropped when the newer one is full.
 * What is found in the older half moves to the newer one, so nothing that is in use is lost.
 * @param halfSize - entries in one half
 */
export const createRecentMap = <Value>(halfSize: number) => {
  let newer = new Map<string, Value>();
  let older = new Map<string, Value>();

  const set = (key: string, value: Value): void => {
    if (newer.size >= halfSize) {
      older = newer;
      newer = new Map();
    }
    newer.set(key, value);
  };

  return {
    get: (key: string): Value | undefined => {
      const value = newer.get(key);
      if (value !== undefined) return value;
      const old = older.get(key);
      if (old !== undefined) set(key, old);
      return old;
    },
    set,
  };
};
