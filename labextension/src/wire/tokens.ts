/** Tokens of rows as parallel columns. */
import {
  array,
  boolean,
  dictionary,
  integer,
  members,
  nullable,
  object,
  oneOf,
  string,
  withDefault,
  WireError
} from '../parse';
import type { Parsed, Parser } from '../parse';
import { difference, finding } from './findings';

export const TOKENS_MIME = 'application/vnd.finetune-workbench.tokens+json';

/** `number[]` of the given length without a closure per element: rows have up to 100,000 tokens. */
export function numbers(value: unknown, path: string, length: number | null): readonly number[] {
  if (!Array.isArray(value)) {
    throw new WireError(path, 'an array', value);
  }
  if (length !== null && value.length !== length) {
    throw new WireError(path, `${length} items, as many as there are ids`, value);
  }
  for (let index = 0; index < value.length; index += 1) {
    if (typeof value[index] !== 'number') {
      throw new WireError(`${path}[${index}]`, 'a number', value[index]);
    }
  }
  return value as readonly number[];
}

function strings<T extends string | null>(
  value: unknown,
  path: string,
  length: number,
  mayBeNull: boolean
): readonly T[] {
  if (!Array.isArray(value) || value.length !== length) {
    throw new WireError(path, `an array of ${length}, as many as there are ids`, value);
  }
  const wrong = value.findIndex(item => typeof item !== 'string' && !(mayBeNull && item === null));
  if (wrong >= 0) {
    throw new WireError(`${path}[${wrong}]`, 'a string', value[wrong]);
  }
  return value as readonly T[];
}

/** Parallel arrays, one item a token. `reason`, `field`, `line`, `role` index into the row's tables. */
export interface Columns {
  readonly id: readonly number[];
  readonly text: readonly string[];
  readonly bytes: readonly (string | null)[];
  readonly start: readonly number[];
  readonly end: readonly number[];
  readonly trained: readonly number[];
  readonly special: readonly number[];
  readonly reason: readonly number[];
  readonly field: readonly number[];
  readonly line: readonly number[];
  readonly role: readonly number[];
  readonly position: readonly number[];
}

export const columns: Parser<Columns> = (value, path) => {
  const from = members(value, path);
  const id = numbers(from['id'], `${path}.id`, null);
  const column = (name: string): readonly number[] => numbers(from[name], `${path}.${name}`, id.length);
  return {
    id,
    text: strings<string>(from['text'], `${path}.text`, id.length, false),
    bytes: strings<string | null>(from['bytes'], `${path}.bytes`, id.length, true),
    start: column('start'),
    end: column('end'),
    trained: column('trained'),
    special: column('special'),
    reason: column('reason'),
    field: column('field'),
    line: column('line'),
    role: column('role'),
    position: column('position')
  };
};

export const segment = object({
  role: string,
  message: nullable(integer),
  start: integer,
  end: integer,
  trained: integer
});
export type Segment = Parsed<typeof segment>;

/** A value a token, null where there is none: the first token of a document predicts nothing. */
const measure: Parser<readonly (number | null)[]> = (value, path) => {
  if (!Array.isArray(value)) {
    throw new WireError(path, 'an array', value);
  }
  const wrong = value.findIndex(item => item !== null && typeof item !== 'number');
  if (wrong >= 0) {
    throw new WireError(`${path}[${wrong}]`, 'a number', value[wrong]);
  }
  return value as readonly (number | null)[];
};

/** A run of tokens that stands for one image. */
const medium = object({
  start: integer,
  end: integer,
  name: string,
  /** A small PNG as a data URL, made by Python from the pixels; null where there is none to show. */
  thumbnail: nullable(string),
  width: nullable(integer),
  height: nullable(integer)
});
export type Medium = Parsed<typeof medium>;

export const row = object({
  position: integer,
  row: nullable(integer),
  title: string,
  type: withDefault(string, ''),
  characters: withDefault(integer, 0),
  truncated: withDefault(integer, 0),
  tokens: columns,
  tables: object({
    reason: array(string),
    field: array(nullable(string)),
    line: array(nullable(integer)),
    role: array(nullable(string))
  }),
  segments: array(segment),
  documents: withDefault(array(object({ row: integer, start: integer, end: integer })), []),
  findings: withDefault(array(finding), []),
  /** Numbers of a model about each token: `loss`, `probability`, `base_delta`, `advantage`. */
  measures: withDefault(dictionary(measure), {}),
  media: withDefault(array(medium), []),
  /** Label of a KTO row. */
  desirable: nullable(boolean)
});
export type Row = Parsed<typeof row>;

/** The chat template, for the inspector. */
export const template = nullable(object({ name: string, sha256: string, origin: string, lines: array(string) }));

const tokensPayload = object({
  version: oneOf(1),
  kind: oneOf('rows', 'batch'),
  handle: nullable(string),
  title: string,
  subtitle: withDefault(string, ''),
  row_count: integer,
  totals: nullable(
    object({
      rows: integer,
      tokens: integer,
      trained: integer,
      truncated: integer,
      errors: integer,
      warnings: integer
    })
  ),
  first: integer,
  rows: array(row),
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
export type TokensPayload = Parsed<typeof tokensPayload>;

export const parseTokens = (value: unknown): TokensPayload => tokensPayload(value, 'tokens');
