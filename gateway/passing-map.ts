type Slot<Value> = { value: Value | undefined };

/**
 * A map of what comes and goes with each call. A `Map` that outgrows its table leaves the old table pointing to the new one, so one table
 * that has lived long keeps all later ones alive until the whole heap is collected, and with them what each held when it was left: the
 * objects of every call would be taken for old ones. Here tables hold slots, which are empty once their value is out.
 */
export class PassingMap<Key, Value> {
  readonly #slots = new Map<Key, Slot<Value>>();

  get size(): number {
    return this.#slots.size;
  }

  get(key: Key): Value | undefined {
    return this.#slots.get(key)?.value;
  }

  /** Puts in a value under a key that has none. */
  set(key: Key, value: Value): void {
    this.#slots.set(key, { value });
  }

  delete(key: Key): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    slot.value = undefined;
    this.#slots.delete(key);
  }

  /** The values of now, in the order in which they came. */
  values(): Value[] {
    return [...this.#slots.values()].flatMap(({ value }) => (value === undefined ? [] : [value]));
  }
}
