/** One thing wrong in a document of an apply: which one (from 0), the keys to the place, and what is expected there. */
export type DocumentIssue = { document: number; path: (string | number)[]; message: string };
