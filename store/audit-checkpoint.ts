import { hash } from 'node:crypto';
import { z } from 'zod';

/**
 * How far a chain had come at a moment, and which checkpoint came before this one (`previous`: SHA-256 of its statement, of all chains
 * together). Two copies of the signed text are kept: in the database, and in a file outside of it.
 */
export const CheckpointSchema = z.object({
  version: z.literal(1),
  /** Counts all checkpoints of an installation, from 1. */
  number: z.number().int().positive(),
  writer: z.string(),
  epoch: z.number().int(),
  /** Number of the chain's last link. */
  link: z.number().int().positive(),
  /** Hash of that link, in hexadecimal. */
  hash: z.string(),
  /** Whether the chain ends there, in order. */
  closed: z.boolean(),
  at: z.string(),
  previous: z.string(),
  keyId: z.string(),
});
export type Checkpoint = z.infer<typeof CheckpointSchema>;

/** A checkpoint as it is kept: the text that was signed, byte for byte. */
export type SignedCheckpoint = { statement: string; signature: string };

/** One in the database: beside the text stands what it says, to be found by. Nobody signed that, so it is held against the text. */
export type StoredCheckpoint = SignedCheckpoint & Pick<Checkpoint, 'number' | 'writer' | 'epoch' | 'link'> & { atMs: number };
export const storedCheckpointColumns =
  'number::float8 as number, writer, epoch, link, statement, signature, (extract(epoch from at) * 1000)::float8 as "atMs"';

export const statementOf = (checkpoint: Checkpoint): string => JSON.stringify(checkpoint);
/** What the next checkpoint says of this one. */
export const statementDigest = (statement: string): string => hash('sha256', statement, 'hex');
/** What the first checkpoint has before it. */
export const noStatement = statementDigest('quarterdeck/audit-checkpoints/1');

/** The checkpoint behind a text; undefined for what is none. */
export const readCheckpoint = (statement: string): Checkpoint | undefined => {
  try {
    return CheckpointSchema.parse(JSON.parse(statement));
  } catch {
    return undefined;
  }
};

/** Whether what stands beside the text of a checkpoint is what the text says. */
export const saysWhatItSigned = ({ statement, number, writer, epoch, link, atMs }: StoredCheckpoint): boolean => {
  const signed = readCheckpoint(statement);
  if (signed?.number !== number || signed.writer !== writer || signed.epoch !== epoch || signed.link !== link) return false;
  return Date.parse(signed.at) === Math.round(atMs);
};
