/** The template card: which template line made which characters and tokens. */
import { array, boolean, integer, members, nullable, object, oneOf, string, withDefault, WireError } from '../parse';
import type { Parsed, Parser } from '../parse';
import { numbers } from './columns';

export const TEMPLATE_MIME = 'application/vnd.finetune-workbench.template+json';

/** Runs of the text as parallel arrays: neighbouring characters of one line and one origin. */
export interface Runs {
  readonly length: readonly number[];
  readonly line: readonly number[];
  /** Offset of the first character in its field. */
  readonly start: readonly number[];
  /** Index into `fields`; the field is null for text that the template wrote. */
  readonly field: readonly number[];
  /** 1 for names of roles, which read as the template's. */
  readonly role: readonly number[];
}

const runs: Parser<Runs> = (value, path) => {
  const from = members(value, path);
  const length = numbers(from['length'], `${path}.length`, null);
  const column = (name: string): readonly number[] => numbers(from[name], `${path}.${name}`, length.length);
  return { length, line: column('line'), start: column('start'), field: column('field'), role: column('role') };
};

/** Tokens as parallel arrays; `start` and `end` are characters of the text. */
export interface XrayTokens {
  readonly id: readonly number[];
  readonly start: readonly number[];
  readonly end: readonly number[];
  readonly special: readonly number[];
  readonly trained: readonly number[];
  /** Hex of a token that is part of a character. */
  readonly bytes: readonly (string | null)[];
}

const tokens: Parser<XrayTokens> = (value, path) => {
  const from = members(value, path);
  const id = numbers(from['id'], `${path}.id`, null);
  const column = (name: string): readonly number[] => numbers(from[name], `${path}.${name}`, id.length);
  const bytes = array(nullable(string))(from['bytes'], `${path}.bytes`);
  if (bytes.length !== id.length) {
    throw new WireError(`${path}.bytes`, `${id.length} items, as many as there are ids`, bytes);
  }
  return {
    id,
    start: column('start'),
    end: column('end'),
    special: column('special'),
    trained: column('trained'),
    bytes
  };
};

const cut = object({
  field: string,
  message: nullable(integer),
  start: integer,
  end: integer,
  line: nullable(integer),
  at: integer
});
export type Cut = Parsed<typeof cut>;

const rendering = object({
  text: string,
  /** Of the whole text; `text` may be its beginning. */
  characters: integer,
  runs,
  fields: array(nullable(string)),
  turns: array(object({ message: integer, role: string, start: integer, end: integer })),
  cuts: array(cut),
  prompt_start: nullable(integer),
  tokens: nullable(tokens),
  token_count: nullable(integer)
});
export type Rendering = Parsed<typeof rendering>;

const templateError = object({ code: string, message: string, remedy: string, line: nullable(integer) });
export type TemplateError = Parsed<typeof templateError>;

const side = object({
  name: string,
  before: string,
  behind: string,
  cut_before: integer,
  cut_behind: integer,
  line: nullable(integer),
  source: nullable(string),
  error: nullable(templateError)
});

const difference = object({
  name: string,
  equal: boolean,
  at: nullable(integer),
  says: string,
  sides: array(side)
});
export type TemplateDifference = Parsed<typeof difference>;

const claim = object({
  who: oneOf('tokenizer', 'dataset', 'you'),
  name: string,
  sha256: string,
  origin: string,
  used: boolean,
  saved: boolean,
  first_difference: nullable(integer)
});
export type TemplateClaim = Parsed<typeof claim>;

const counter = object({
  first: string,
  first_text: string,
  second: string,
  second_text: string,
  at: nullable(integer),
  line: nullable(integer),
  means: string
});

const property = object({
  name: string,
  state: oneOf('holds', 'fails', 'lacks', 'unknown'),
  says: string,
  counter: nullable(counter)
});
export type TemplateProperty = Parsed<typeof property>;

const ask = object({
  conversation: string,
  row: nullable(integer),
  generation_prompt: boolean,
  against: nullable(string),
  tokenizer: nullable(string)
});
export type XrayAsk = Parsed<typeof ask>;

const view = object({
  source: string,
  /** One item a line of `source`. */
  made: object({
    tokens: array(integer),
    characters: array(integer),
    places: array(integer),
    removed: array(integer)
  }),
  rendering: nullable(rendering),
  error: nullable(templateError),
  notes: withDefault(array(string), []),
  ask,
  edited: boolean,
  tokenizer: nullable(string),
  difference: nullable(difference),
  resolution: object({ claims: array(claim), says: array(string) }),
  code: string
});
export type XrayView = Parsed<typeof view>;

const payload = object({
  version: oneOf(1),
  handle: nullable(string),
  title: string,
  origin: string,
  sha256: string,
  /** The template's own source, before any edit. */
  original: string,
  conversations: array(string),
  rows: nullable(object({ title: string, count: integer })),
  templates: array(string),
  properties: array(property),
  view
});
export type TemplatePayload = Parsed<typeof payload>;

export const parseTemplate = (value: unknown): TemplatePayload => payload(value, 'template');

/** Answer to `xray`. */
export const viewAnswer = object({ view });
/** Answer to `properties`. */
export const propertiesAnswer = object({ properties: array(property) });
