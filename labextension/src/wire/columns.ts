/**
 * Columns of a row: as arrays, or in the compact form that outputs hold (docs/wire.md section 4), where a column is one
 * string. What is read is checked as it is turned into arrays: a string is no promise.
 */
import { members, WireError } from '../parse';
import type { Members, Parser } from '../parse';

/** Far more tokens than a row ever has; a short string can stand for any number of them. */
const MOST = 2_000_000;

/** `number[]` of the given length without a closure per element: rows have up to 100,000 tokens. */
export function numbers(value: unknown, path: string, length: number | null): readonly number[] {
  if (typeof value === 'string') {
    const read = unpacked(value, path);
    const wrong = read.indexOf(null);
    if (wrong >= 0) {
      throw new WireError(`${path}[${wrong}]`, 'a number', null);
    }
    return ofLength(read as readonly number[], path, length);
  }
  if (!Array.isArray(value)) {
    throw new WireError(path, 'an array', value);
  }
  ofLength(value, path, length);
  for (let index = 0; index < value.length; index += 1) {
    if (typeof value[index] !== 'number') {
      throw new WireError(`${path}[${index}]`, 'a number', value[index]);
    }
  }
  return value as readonly number[];
}

function ofLength<T>(items: readonly T[], path: string, length: number | null): readonly T[] {
  if (length !== null && items.length !== length) {
    throw new WireError(path, `${length} items, as many as there are ids`, items);
  }
  return items;
}

const ITEM = /^(-?\d+)?(?:\*(\d+)|\.\.(-?\d+))?$/;

/** `5,7*3,0..9,,` → numbers; nothing between two commas is null. */
function unpacked(text: string, path: string): (number | null)[] {
  const found: (number | null)[] = [];
  if (text === '') {
    return found;
  }
  for (const item of text.split(',')) {
    const match = ITEM.exec(item);
    if (match === null || (match[3] !== undefined && match[1] === undefined)) {
      throw new WireError(path, 'numbers, n*times or first..last', item);
    }
    const first = match[1] === undefined ? null : Number(match[1]);
    const times =
      match[3] !== undefined && first !== null
        ? Number(match[3]) - first + 1
        : match[2] === undefined
          ? 1
          : Number(match[2]);
    if (times < 0 || found.length + times > MOST) {
      throw new WireError(path, `at most ${MOST} numbers`, item);
    }
    const step = match[3] === undefined ? 0 : 1;
    for (let i = 0; i < times; i += 1) {
      found.push(first === null ? null : first + step * i);
    }
  }
  return found;
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

/** `17:20 f0 9f,18:8d`: the bytes of the tokens that have them. */
function bytesAt(value: unknown, path: string, length: number): readonly (string | null)[] {
  if (typeof value !== 'string') {
    return strings<string | null>(value, path, length, true);
  }
  const found = new Array<string | null>(length).fill(null);
  for (const item of value === '' ? [] : value.split(',')) {
    const match = /^(\d+):([0-9a-f ]*)$/.exec(item);
    const at = Number(match?.[1] ?? length);
    if (match === null || at >= length) {
      throw new WireError(path, 'index:bytes of a token', item);
    }
    found[at] = match[2] ?? '';
  }
  return found;
}

/** Cut the joined text; lengths count characters as Python does, so a character outside the BMP is one. */
function cutText(joined: string, lengths: readonly number[], path: string): readonly string[] {
  const wide = /[\ud800-\udfff]/.test(joined);
  const characters = wide ? [...joined] : null;
  let at = 0;
  const pieces = lengths.map(length => {
    const from = at;
    at += Math.max(0, length);
    return characters === null ? joined.slice(from, at) : characters.slice(from, at).join('');
  });
  if (at !== (characters ?? joined).length) {
    throw new WireError(path, `${at} characters, as the tokens have`, joined);
  }
  return pieces;
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

type Texts = Pick<Columns, 'text' | 'bytes' | 'start' | 'end'>;

/** In compact form `start` counts from the end of the token before, and `end` from the token's own start. */
function texts(from: Members, path: string, length: number): Texts {
  const bytes = bytesAt(from['bytes'], `${path}.bytes`, length);
  const first = numbers(from['start'], `${path}.start`, length);
  const last = numbers(from['end'], `${path}.end`, length);
  const compact = typeof from['start'] === 'string';
  const start: number[] = [];
  const end: number[] = [];
  for (let index = 0; index < length; index += 1) {
    start.push((first[index] ?? 0) + (compact ? (end[index - 1] ?? 0) : 0));
    end.push((last[index] ?? 0) + (compact ? (start[index] ?? 0) : 0));
  }
  const joined = from['text'];
  if (typeof joined !== 'string') {
    return { text: strings<string>(joined, `${path}.text`, length, false), bytes, start, end };
  }
  const lengths =
    from['cut'] === undefined
      ? bytes.map((part, index) => (part === null ? (end[index] ?? 0) - (start[index] ?? 0) : 0))
      : numbers(from['cut'], `${path}.cut`, length);
  return { text: cutText(joined, lengths, `${path}.text`), bytes, start, end };
}

export const columns: Parser<Columns> = (value, path) => {
  const from = members(value, path);
  const id = numbers(from['id'], `${path}.id`, null);
  const column = (name: string): readonly number[] => numbers(from[name], `${path}.${name}`, id.length);
  return {
    id,
    ...texts(from, path, id.length),
    trained: column('trained'),
    special: column('special'),
    reason: column('reason'),
    field: column('field'),
    line: column('line'),
    role: column('role'),
    position: column('position')
  };
};

/** A value a token, null where there is none: the first token of a document predicts nothing. */
export const measure: Parser<readonly (number | null)[]> = (value, path) => {
  const items: unknown =
    typeof value === 'string'
      ? (value === '' ? [] : value.split(',')).map(item => (item === '' ? null : Number(item)))
      : value;
  if (!Array.isArray(items)) {
    throw new WireError(path, 'an array', value);
  }
  const wrong = items.findIndex(item => item !== null && (typeof item !== 'number' || Number.isNaN(item)));
  if (wrong >= 0) {
    throw new WireError(`${path}[${wrong}]`, 'a number', items[wrong]);
  }
  return items as readonly (number | null)[];
};
