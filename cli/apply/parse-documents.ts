import { isSeq, LineCounter, parseAllDocuments } from 'yaml';
import { CliError, type FileIssue } from '../output/cli-error.ts';
import { locate } from './locate.ts';

/** One resource of a file, and where its fields stand: `file:line:column`. */
export type SourceDocument = { value: unknown; placeOf(keys: (string | number)[], wantsKey?: boolean): string };
export type Source = { name: string; text: string };

/** Enough for files that people write; a file that grows under its aliases is refused. */
const maxAliases = 100;

const parseSource = ({ name, text }: Source): { documents: SourceDocument[]; issues: FileIssue[] } => {
  const lines = new LineCounter();
  const documents: SourceDocument[] = [];
  const issues: FileIssue[] = [];
  let parsed: ReturnType<typeof parseAllDocuments>;
  try {
    parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  } catch {
    // brackets by the ten thousand exhaust the parser's stack
    return { documents, issues: [{ place: `${name}:1:1`, field: '', message: 'expected YAML or JSON that is nested less deeply' }] };
  }
  if (!Array.isArray(parsed)) return { documents, issues };
  for (const document of parsed) {
    const wrong = [...document.errors, ...document.warnings];
    issues.push(
      ...wrong.map(({ pos, message }) => {
        const { line, col } = lines.linePos(pos[0]);
        return { place: `${name}:${line}:${col}`, field: '', message: `expected YAML or JSON: ${message}` };
      }),
    );
    if (wrong.length > 0) continue;
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: maxAliases });
    } catch (error) {
      issues.push({ place: `${name}:1:1`, field: '', message: `expected at most ${maxAliases} aliases: ${(error as Error).message}` });
      continue;
    }
    if (value === null || value === undefined) continue;
    const at = (prefix: (string | number)[], each: unknown): SourceDocument => ({
      value: each,
      placeOf: (keys, wantsKey) => {
        const { line, column } = locate(document, lines, [...prefix, ...keys], wantsKey);
        return `${name}:${line}:${column}`;
      },
    });
    if (isSeq(document.contents) && Array.isArray(value)) documents.push(...value.map((each, index) => at([index], each)));
    else documents.push(at([], value));
  }
  return { documents, issues };
};

/**
 * Reads YAML (several documents) and JSON (one resource, or a list of them).
 * @throws {CliError} with the place of each syntax error
 */
export const parseDocuments = (sources: Source[]): SourceDocument[] => {
  const parsed = sources.map(parseSource);
  const issues = parsed.flatMap((each) => each.issues);
  if (issues.length > 0) throw new CliError('Nothing was sent: a file cannot be read', { code: 'resource_invalid', issues });
  return parsed.flatMap((each) => each.documents);
};
