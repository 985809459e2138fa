/** Questions to the kernel and its answers; each component parses the answer it asked for. */
import { integer, nullable, object, string } from '../parse';
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

/** Answer to `row`, `find` and `problem`. */
export const rowAnswer = object({ row: nullable(row), position: nullable(integer) });
export type RowAnswer = Parsed<typeof rowAnswer>;
