/** What is said about the data, and where two batches part. */
import { array, integer, nullable, object, oneOf, string, withDefault } from '../parse';
import type { Parsed } from '../parse';

export const finding = object({
  code: string,
  severity: oneOf('error', 'warning', 'info'),
  message: string,
  row: nullable(integer),
  field: nullable(string),
  remedy: withDefault(string, ''),
  line: nullable(integer),
  /** Token of the row that it is about; null where it is about a field or the whole row. */
  token: nullable(integer)
});
export type Finding = Parsed<typeof finding>;

export const difference = object({
  key: string,
  index: array(integer),
  ours: nullable(integer),
  theirs: nullable(integer),
  what: withDefault(string, '')
});
export type Difference = Parsed<typeof difference>;
