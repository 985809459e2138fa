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
  nothing,
  WireError
} from '../parse';
import type { Parsed, Parser } from '../parse';
import { columns, measure, numbers } from './columns';
import { difference, finding } from './findings';

export const TOKENS_MIME = 'application/vnd.finetune-workbench.tokens+json';

export const segment = object({
  role: string,
  message: nullable(integer),
  start: integer,
  end: integer,
  trained: integer
});
export type Segment = Parsed<typeof segment>;

const MOST_OF_A_PICTURE = 300_000;

/** A PNG in the page itself: nothing is fetched, and nothing but a picture is taken. */
const picture: Parser<string> = (value, path) => {
  if (
    typeof value !== 'string' ||
    value.length > MOST_OF_A_PICTURE ||
    !/^data:image\/png;base64,[A-Za-z0-9+/]+=*$/.test(value)
  ) {
    throw new WireError(path, 'a small PNG as a data URL', value);
  }
  return value;
};

/** A run of tokens that stands for one image. */
const medium = object({
  start: integer,
  end: integer,
  name: string,
  /** A small PNG as a data URL, made by Python from the pixels; null where there is none to show. */
  thumbnail: nullable(picture),
  width: nullable(integer),
  height: nullable(integer)
});
export type Medium = Parsed<typeof medium>;

/** Four numbers a stretch; in compact form all of them in one string. */
const sources: Parser<readonly (readonly number[])[]> = (value, path) => {
  if (typeof value !== 'string') {
    return array(array(integer))(value, path);
  }
  const flat = numbers(value, path, null);
  return Array.from({ length: Math.floor(flat.length / 4) }, (_, index) => flat.slice(4 * index, 4 * index + 4));
};

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
  /** Stretches that came from the data: first character, one past the last, index of the field, offset in the field. */
  sources: withDefault(sources, []),
  documents: withDefault(array(object({ row: integer, start: integer, end: integer })), []),
  findings: withDefault(array(finding), []),
  /** Numbers of a model about each token: `loss`, `probability`, `base_delta`, `advantage`. */
  measures: withDefault(dictionary(measure), nothing),
  media: withDefault(array(medium), []),
  /** Template lines and sentences of reasons that the payload around the row does not have. */
  lines: withDefault(dictionary(string), nothing),
  reasons: withDefault(dictionary(string), nothing),
  /** Label of a KTO row. */
  desirable: nullable(boolean)
});
export type Row = Parsed<typeof row>;

/** All lines, or those that are used, by their number: a sparse array then. */
const templateLines: Parser<readonly string[]> = (value, path) => {
  if (Array.isArray(value)) {
    return array(string)(value, path);
  }
  const lines: string[] = [];
  for (const [number, text] of Object.entries(members(value, path))) {
    if (/^[1-9]\d{0,5}$/.test(number)) {
      lines[Number(number) - 1] = string(text, `${path}.${number}`);
    }
  }
  return lines;
};

/** The chat template, for the inspector. */
export const template = nullable(object({ name: string, sha256: string, origin: string, lines: templateLines }));

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
  code: string,
  colour_by: withDefault(string, 'trained'),
  /** Kind of problem -> rows that have it. */
  problems: withDefault(dictionary(integer), {}),
  policy: nullable(object({ train_on: string, train_on_eos: string }))
});
export type TokensPayload = Parsed<typeof tokensPayload>;

export const parseTokens = (value: unknown): TokensPayload => tokensPayload(value, 'tokens');
