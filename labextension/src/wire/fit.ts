/** GPU memory before a run: figures, what they are made of, and what can be tried in the page. */
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
} from '../parse';
import type { Members, Parsed, Parser } from '../parse';
import { FIT_KINDS } from '../memory/fitModel';
import type { Breakdown, Span } from '../memory/fitModel';
import type { Settings, Shapes } from '../memory/shapes';

export const FIT_MIME = 'application/vnd.finetune-workbench.fit+json';

const span: Parser<Span> = (value, path) => {
  const [low, high] = array(number)(value, path);
  if (low === undefined || high === undefined || high < low) {
    throw new WireError(path, 'two numbers, the lower first', value);
  }
  return { low, high };
};

const kind = oneOf(...FIT_KINDS);

/** Known kinds of a dictionary; a kind that is not known is refused by its name. */
const kinds: Parser<Readonly<Partial<Record<Parsed<typeof kind>, number>>>> = (value, path) =>
  Object.fromEntries(
    Object.entries(members(value, path)).map(([name, size]) => [kind(name, path), number(size, `${path}.${name}`)])
  );

const part = object({
  name: string,
  kind,
  bytes: number,
  formula: string,
  inputs: dictionary(number),
  source: string
});

const breakdown: Parser<Breakdown> = object({
  live: number,
  reserved: span,
  context: span,
  parts: array(part),
  peaks: array(object({ name: string, bytes: number, kinds, parts: array(string) })),
  peak: string
});

/** A GPU, or a host; `argument` is the Python that names it. */
const card = object({ name: string, bytes: number, held: number, argument: string });
export type FitCard = Parsed<typeof card>;

/** What the closed form takes, whole: what in it is no number makes no bar (memory/fitEstimate.ts). */
const shapes: Parser<Shapes> = (value, path) => members(value, path) as unknown as Shapes;

const settings: Parser<Settings> = (value, path) => {
  checked(value, path);
  return members(value, path) as unknown as Settings;
};
/** Of the settings, what the page itself reads. */
const checked = object({
  rows: integer,
  length: integer,
  scored: integer,
  rank: integer,
  accumulation: integer,
  adapter: string,
  quantisation: string,
  optim: string,
  attention: string,
  checkpointing: boolean,
  autocast: boolean,
  weight_bytes: integer
});

/** An adapter: a word, or PEFT's config; null in a payload that does not say it. */
const adapter: Parser<string | Members | null> = (value, path) =>
  value === undefined || value === null ? null : typeof value === 'string' ? value : members(value, path);

/** What the page needs to compute other settings itself. */
const tried = object({
  /** The model's shapes, as the closed form takes them. */
  shapes,
  settings,
  /** As the recipe says them. */
  adapter,
  quantisation: withDefault(string, 'none'),
  batch: integer,
  max_length: nullable(integer),
  /** Tokens of the longest row. */
  longest: integer,
  /** Whether rows are packed into rows of max_length. */
  packed: boolean,
  /** Whether attention gets a mask, where somebody said so; null: rows of one batch and packed ones do. */
  masked: nullable(boolean),
  /** `[tokens, rows]` of the data, shorter first; null where nobody knows the rows. */
  lengths: nullable(array(array(integer)))
});
export type FitTried = Parsed<typeof tried>;

const measurement = object({
  live: nullable(number),
  reserved: nullable(number),
  shown: nullable(number),
  kinds: nullable(kinds)
});
export type FitMeasurement = Parsed<typeof measurement>;

const fitPayload = object({
  version: oneOf(1),
  handle: nullable(string),
  title: string,
  subtitle: string,
  kind: oneOf('analytic', 'traced', 'measured'),
  of: oneOf('gpu', 'host'),
  made: breakdown,
  card: nullable(card),
  cards: array(card),
  tried: nullable(tried),
  /** Why nothing can be tried. */
  untried: withDefault(string, ''),
  /** Memory over the traced steps: bytes by equal stretches, and how many of them every phase takes. */
  curve: nullable(
    object({ bytes: array(number), phases: array(object({ name: string, length: integer })), owner: string })
  ),
  measured: nullable(object({ title: string, measured: measurement })),
  assumptions: array(string),
  /** Arguments of the call, each a piece of Python. */
  arguments: dictionary(string),
  code: string
});
export type FitPayload = Parsed<typeof fitPayload>;

export const parseFit = (value: unknown): FitPayload => fitPayload(value, 'fit');
