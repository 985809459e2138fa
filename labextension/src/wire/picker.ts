/** The picker's state and the changes it sends. */
import { array, boolean, integer, nullable, number, object, oneOf, string } from '../parse';
import type { Parsed, Parser } from '../parse';
import { finding } from './findings';

/** A cell of the preview: nothing, text, or messages as role and text; `more` counts those that are not shown. */
export type PickerCell =
  | null
  | string
  | {
      readonly said: readonly { readonly role: string; readonly text: string }[];
      readonly more: number;
    };

const said = object({ said: array(object({ role: string, text: string })), more: integer });
const pickerCell: Parser<PickerCell> = (value, path) =>
  value === null || typeof value === 'string' ? value : said(value, path);

const optionValue: Parser<string | boolean | null> = (value, path) =>
  typeof value === 'boolean' ? value : nullable(string)(value, path);

const pickerValue = object({ name: string, cell: pickerCell, bad: boolean });

const picker = object({
  turn: integer,
  source: object({
    title: string,
    rows: integer,
    columns: integer,
    bytes: nullable(integer),
    read: oneOf('all', 'first', 'limited')
  }),
  type: nullable(string),
  types: array(
    object({
      name: string,
      label: string,
      rows: integer,
      total: integer,
      evidence: array(object({ text: string, role: nullable(string) })),
      missing: array(string),
      loses: array(string)
    })
  ),
  chosen_by: oneOf('detected', 'you'),
  fit: object({ rows: integer, total: integer }),
  question: nullable(object({ finding, choices: array(string) })),
  notices: array(finding),
  columns: array(object({ name: string, kind: string, role: nullable(string) })),
  roles: array(object({ name: string, required: boolean })),
  absent: array(string),
  preview: array(array(pickerCell)),
  row_numbers: array(integer),
  misfits: object({
    rows: array(object({ row: integer, finding, values: array(pickerValue) })),
    total: integer,
    looked: integer
  }),
  shown_row: nullable(object({ row: integer, values: array(pickerValue) })),
  left_out: array(integer),
  speakers: object({
    roles: array(string),
    found: array(object({ spelling: string, count: integer, role: nullable(string), known: boolean }))
  }),
  options: array(
    object({ name: string, kind: oneOf('flag', 'choice', 'text'), value: optionValue, choices: array(string) })
  ),
  lengths: nullable(
    object({
      values: array(integer),
      edges: array(number),
      counts: array(integer),
      scale: oneOf('linear', 'log'),
      rows: integer,
      long: oneOf('cut', 'chunked')
    })
  ),
  max_length: nullable(integer),
  cut: object({ rows: integer, share: number }),
  template: object({
    name: nullable(string),
    groups: array(object({ of: oneOf('tokenizer', 'type', 'shipped', 'chosen'), names: array(string) })),
    refusal: nullable(finding)
  }),
  rendered: nullable(
    object({
      row: integer,
      desirable: nullable(boolean),
      parts: array(
        object({
          name: oneOf('row', 'prompt', 'chosen', 'rejected'),
          pieces: array(object({ text: string, trained: boolean, differs: boolean }))
        })
      )
    })
  ),
  code: string
});
export type PickerState = Parsed<typeof picker>;
export const parsePicker = (value: unknown): PickerState => picker(value, 'picker');

const pickerScan = nullable(object({ done: integer, running: boolean }));
/** How far the whole file has been read beside the first rows; null where nothing is left to read. */
export type PickerScan = Parsed<typeof pickerScan>;
export const parseScan = (value: unknown): PickerScan => pickerScan(value, 'scan');

/** Kinds of change that a picker sends; the kernel answers with a new state. */
export type PickerChange =
  | { readonly kind: 'type'; readonly value: string }
  | { readonly kind: 'role'; readonly value: { readonly column: string; readonly role: string | null } }
  | { readonly kind: 'max_length'; readonly value: number | null }
  | { readonly kind: 'template'; readonly value: string }
  | { readonly kind: 'leave_out' | 'take_back'; readonly value: number }
  | { readonly kind: 'row'; readonly value: number | null }
  | { readonly kind: 'speaker'; readonly value: { readonly spelling: string; readonly role: string | null } }
  | { readonly kind: 'option'; readonly value: { readonly name: string; readonly value: string | boolean | null } };
