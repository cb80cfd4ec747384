const factors: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  ...{ k: 1e3, K: 1e3, M: 1e6, G: 1e9, T: 1e12 },
  ...{ ki: 2 ** 10, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 },
};

/** A quantity of Kubernetes as a number (bytes, cores), or undefined where it is none. */
export const readQuantity = (text: string): number | undefined => {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)(m|[kKMGT]i?)?$/.exec(text);
  const factor = factors[match?.[2] ?? ''];
  return match === null || factor === undefined ? undefined : Number(match[1]) * factor;
};

/** Bytes in whole mebibytes, rounded down so that a cap is not passed by rounding. */
export const writeMemory = (bytes: number): string => `${Math.max(1, Math.floor(bytes / 2 ** 20))}Mi`;
