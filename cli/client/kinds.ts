import { type Kind, kindAliases, kinds } from '../../schema/resource.ts';
import { usageError } from '../output/cli-error.ts';

const distance = (left: string, right: string): number => {
  let row = Array.from({ length: right.length + 1 }, (_value, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[right.length] ?? 0;
};

/** Reads a kind as people write it: any case, singular or plural. @throws {CliError} usage, with the nearest kind */
export const readKind = (text: string): Kind => {
  const kind = kindAliases[text.toLowerCase()];
  if (kind) return kind;
  const nearest = kinds
    .map((each) => ({ each, away: distance(text.toLowerCase(), each.toLowerCase()) }))
    .sort((a, b) => a.away - b.away)[0];
  const suggestion = nearest && nearest.away <= 3 ? `did you mean ${nearest.each}?` : `there are ${kinds.join(', ')}`;
  throw usageError(`There is no kind ${text}; ${suggestion}`);
};

/** Reads `KIND/NAME`. */
export const readReference = (text: string): { kind: Kind; name: string } => {
  const [kind = '', name = '', ...rest] = text.split('/');
  if (name === '' || rest.length > 0) throw usageError(`${text} is not KIND/NAME, such as mcpserver/echo`);
  return { kind: readKind(kind), name };
};
