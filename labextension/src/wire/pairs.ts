/** Two answers to one prompt: what they share, and what each goes on with. */
import { array, dictionary, integer, nullable, number, object, oneOf, string, withDefault } from '../parse';
import type { Parsed } from '../parse';
import { difference, finding } from './findings';
import { row, template } from './tokens';

export const PAIRS_MIME = 'application/vnd.finetune-workbench.pairs+json';

const side = object({
  /** The tokens behind the shared prompt. */
  row,
  /** First token of `row` that the other side has not; null where this side has ended before. */
  first: nullable(integer),
  tokens: integer,
  trained: integer,
  truncated: integer
});
export type PairSide = Parsed<typeof side>;

export const pair = object({
  position: integer,
  row: nullable(integer),
  title: string,
  type: withDefault(string, ''),
  margin: nullable(number),
  prompt_tokens: integer,
  /** First token that differs, counted from the beginning of the sequences; null where they are equal. */
  first_token: nullable(integer),
  prompt: row,
  chosen: side,
  rejected: side,
  findings: array(finding)
});
export type Pair = Parsed<typeof pair>;

const pairsPayload = object({
  version: oneOf(1),
  kind: oneOf('rows', 'batch'),
  handle: nullable(string),
  title: string,
  subtitle: withDefault(string, ''),
  pair_count: integer,
  first: integer,
  pairs: array(pair),
  template,
  reasons: dictionary(string),
  badge: nullable(
    object({
      state: oneOf('agrees', 'differs', 'unchecked'),
      step: nullable(integer),
      difference: nullable(difference)
    })
  ),
  code: string
});
export type PairsPayload = Parsed<typeof pairsPayload>;

export const parsePairs = (value: unknown): PairsPayload => pairsPayload(value, 'pairs');

/** Answer to `pair` and `pair_problem`. */
export const pairAnswer = object({ pair: nullable(pair), position: nullable(integer) });
