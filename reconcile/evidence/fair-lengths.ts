/**
 * Shares what there is among texts: short ones stay whole, and the longest are cut to the same length.
 * @param budget - for all of them together, in the unit of the lengths
 */
export const fairLengths = (lengths: readonly number[], budget: number): number[] => {
  const ascending = lengths.map((length, index) => ({ length, index })).sort((one, other) => one.length - other.length);
  const shares = lengths.map(() => 0);
  let left = Math.max(0, budget);
  ascending.forEach(({ length, index }, place) => {
    const share = Math.min(length, Math.floor(left / (ascending.length - place)));
    shares[index] = share;
    left -= share;
  });
  return shares;
};
