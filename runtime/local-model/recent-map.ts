/** Keeps the `size` values that were used last, by key. */
export const createRecentMap = <Value>(size: number) => {
  const values = new Map<string, Value>();
  return {
    /** @returns the value of the key, made by `make` when it is not kept */
    get(key: string, make: () => Value): Value {
      const value = values.has(key) ? (values.get(key) as Value) : make();
      values.delete(key);
      values.set(key, value);
      if (values.size > size) values.delete(values.keys().next().value as string);
      return value;
    },
  };
};
