const block = 512;

const textAt = (header: Buffer, from: number, length: number): string =>
  header.toString('latin1', from, from + length).replace(/\0.*$/s, '');

/**
 * One file of a tar archive.
 * @returns its bytes, or undefined where it is not there
 * @see https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html (ustar interchange format)
 */
export const readTarEntry = (archive: Buffer, name: string): Buffer | undefined => {
  for (let at = 0; at + block <= archive.length; ) {
    const header = archive.subarray(at, at + block);
    const size = Number.parseInt(textAt(header, 124, 12).trim() || '0', 8);
    if (textAt(header, 0, 100) === name) return archive.subarray(at + block, at + block + size);
    at += block + Math.ceil(size / block) * block;
  }
  return undefined;
};
