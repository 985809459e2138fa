/** Questions to the kernel and its answers; each component parses the answer it asked for. */
import { array, integer, nullable, object, string } from '../parse';
import type { Parsed } from '../parse';
import { row } from './tokens';

export const COMM_TARGET = 'finetune-workbench';

/** What every answer has: the number of its question, and the error where it was refused. */
const envelope = object({ id: integer, error: nullable(string) });
export type Envelope = Parsed<typeof envelope>;
export const parseEnvelope = (value: unknown): Envelope => envelope(value, 'answer');

/** What a component asks the kernel of its notebook; `id` is added by whoever sends it. */
export interface KernelRequest {
  readonly op: string;
  readonly [member: string]: unknown;
}

/** Answer to `row` (with the Python of a policy that is tried), `find` (with how many rows have it) and `problem`. */
export const rowAnswer = object({
  row: nullable(row),
  position: nullable(integer),
  code: nullable(string),
  rows: nullable(integer)
});
export type RowAnswer = Parsed<typeof rowAnswer>;

const listed = object({
  position: integer,
  row: integer,
  title: string,
  tokens: integer,
  trained: integer,
  problems: integer
});
export type ListedRow = Parsed<typeof listed>;

/** Answer to `rows`: a page of the list, how many rows fit, and the tokens of the longest row of all. */
export const rowsAnswer = object({ rows: array(listed), total: integer, longest: integer });
export type RowsAnswer = Parsed<typeof rowsAnswer>;

/** Answer to `copy`. */
export const copyAnswer = object({ text: string });
