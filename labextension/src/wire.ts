/**
 * The TypeScript mirror of docs/wire.md: what Python sends, parsed once at the door.
 *
 * Nothing else in the front end looks at unparsed data.
 */
import {
  array,
  boolean,
  dictionary,
  integer,
  members,
  nullable,
  number,
  object,
  oneOf,
  string,
  withDefault,
  WireError
} from './parse';
import type { Parsed, Parser } from './parse';
import type { RunPayload, RunSnapshot } from './runs/types';

export { WireError } from './parse';
export type { RunPayload } from './runs/types';

export const TOKENS_MIME = 'application/vnd.finetune-workbench.tokens+json';
export const RUN_MIME = 'application/vnd.finetune-workbench.run+json';
export const COMM_TARGET = 'finetune-workbench';

/* ---- findings ---- */

const finding = object({
  code: string,
  severity: oneOf('error', 'warning', 'info'),
  message: string,
  row: nullable(integer),
  field: nullable(string),
  remedy: withDefault(string, ''),
  line: nullable(integer)
});
export type Finding = Parsed<typeof finding>;

const difference = object({
  key: string,
  index: array(integer),
  ours: nullable(integer),
  theirs: nullable(integer),
  what: withDefault(string, '')
});
export type Difference = Parsed<typeof difference>;

/* ---- tokens ---- */

/** `number[]` of the given length without a closure per element: rows have up to 100,000 tokens. */
function numbers(value: unknown, path: string, length: number | null): readonly number[] {
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

const columns: Parser<Columns> = (value, path) => {
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

const segment = object({
  role: string,
  message: nullable(integer),
  start: integer,
  end: integer,
  trained: integer
});
export type Segment = Parsed<typeof segment>;

const row = object({
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
  findings: withDefault(array(finding), [])
});
export type Row = Parsed<typeof row>;

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
  template: nullable(object({ name: string, sha256: string, origin: string, lines: array(string) })),
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

/* ---- answers of the kernel ---- */

const answer = object({
  id: integer,
  row: nullable(row),
  position: nullable(integer),
  error: nullable(string)
});
export type KernelAnswer = Parsed<typeof answer>;
export const parseAnswer = (value: unknown): KernelAnswer => answer(value, 'answer');

/** What a component asks the kernel of its notebook; `id` is added by whoever sends it. */
export type KernelRequest =
  | { readonly op: 'row'; readonly position: number }
  | { readonly op: 'find'; readonly text: string; readonly after: number }
  | { readonly op: 'problem'; readonly after: number };

/* ---- runs: the types are in runs/types.ts, beside what reads them ---- */

const unknownValue: Parser<unknown> = value => value;

const runDifference = object({
  key: string,
  index: nullable<number | readonly number[]>((value, path) =>
    typeof value === 'number' ? integer(value, path) : array(integer)(value, path)
  ),
  ours: unknownValue,
  theirs: unknownValue
});

const runWarning: Parser<{ step?: number; code?: string; message?: string }> = (value, path) => {
  const from = members(value, path);
  const step = nullable(integer)(from['step'], `${path}.step`);
  const code = nullable(string)(from['code'], `${path}.code`);
  const message = nullable(string)(from['message'], `${path}.message`);
  return {
    ...(step === null ? {} : { step }),
    ...(code === null ? {} : { code }),
    ...(message === null ? {} : { message })
  };
};

const snapshot: Parser<RunSnapshot> = object({
  state: string,
  step: integer,
  max_steps: nullable(integer),
  offset: integer,
  loss: nullable(number),
  learning_rate: nullable(number),
  tokens_per_s: nullable(number),
  eta_s: nullable(number),
  rss_bytes: nullable(number),
  gpu_bytes: nullable(number),
  elapsed_s: nullable(number),
  series: object({ step: array(number), loss: array(nullable(number)) }),
  prompts: array(string),
  samples: array(
    object({
      prompt: nullable(integer),
      step: integer,
      text: string,
      stopped: withDefault(boolean, false),
      base: withDefault(boolean, false)
    })
  ),
  checkpoints: array(integer),
  batch: nullable(object({ agrees: nullable(boolean), steps: array(integer), difference: nullable(runDifference) })),
  message: nullable(string),
  log_tail: nullable(string),
  warnings: withDefault(array(runWarning), []),
  stalled: withDefault(boolean, false),
  setup: nullable(members)
});

const runPayload: Parser<RunPayload> = object({
  version: oneOf(1),
  id: string,
  name: string,
  live: boolean,
  snapshot,
  code: string
});
export const parseRun = (value: unknown): RunPayload => runPayload(value, 'run');

/* ---- picker ---- */

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
