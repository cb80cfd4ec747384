import { readFileSync } from 'node:fs';
import { temporal } from '@temporalio/proto';

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const duration = /^\d+(\.\d+)?s$/;

const secondsAndNanos = (seconds: number) => ({ seconds: Math.floor(seconds), nanos: Math.round((seconds % 1) * 1e9) });

/** Protobuf's JSON writes instants and durations as texts. @see https://protobuf.dev/programming-guides/json/ */
const plain = (value: unknown): unknown => {
  if (typeof value === 'string' && instant.test(value)) return secondsAndNanos(Date.parse(value) / 1000);
  if (typeof value === 'string' && duration.test(value)) return secondsAndNanos(Number.parseFloat(value));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
};

/**
 * Reads a history as the `temporal` command prints it. The SDK has a reader of its own, which fails where npm installs several copies
 * of protobufjs ("type must be a Type").
 */
export const readHistory = (file: URL) =>
  temporal.api.history.v1.History.fromObject(plain(JSON.parse(readFileSync(file, 'utf8'))) as object);
