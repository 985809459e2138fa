/** Which characters of which field a token stands for, and what part of the template's line wrote it. */
import type { Row } from '../wire';
import { textOf } from './byteGroups';
import { fieldOf, lastAtMost } from './rowModel';

export interface OriginPart {
  /** Null: the template wrote it. */
  readonly field: string | null;
  /** Characters within the field; within the token's own text for the template's. */
  readonly from: number;
  readonly to: number;
}

/** The parts of a token in text order; nothing where the row does not say. */
export function originsOf(row: Row, token: number): readonly OriginPart[] {
  const { sources } = row;
  const start = row.tokens.start[token] ?? 0;
  const end = row.tokens.end[token] ?? 0;
  if (sources.length === 0 || end <= start) {
    return [];
  }
  const parts: OriginPart[] = [];
  let at = start;
  const template = (to: number): void => {
    if (to > at) {
      parts.push({ field: null, from: at - start, to: to - start });
    }
  };
  for (let index = lastAtMost(sources.length, i => sources[i]?.[0] ?? 0, start); index < sources.length; index += 1) {
    const [low = 0, high = 0, field = -1, offset = 0] = sources[index] ?? [];
    if (low >= end) {
      break;
    }
    const from = Math.max(low, at);
    const to = Math.min(high, end);
    if (to > from) {
      template(from);
      parts.push({ field: row.tables.field[field] ?? null, from: from - low + offset, to: to - low + offset });
      at = to;
    }
  }
  template(end);
  return parts;
}

/** Whether a token stands for text of several origins: data and template, or two fields. */
export function straddles(row: Row, token: number): boolean {
  return new Set(originsOf(row, token).map(part => part.field)).size > 1;
}

function placesIn(line: string, pattern: RegExp): readonly (readonly [number, number])[] {
  return [...line.matchAll(pattern)].map(match => [match.index, match.index + match[0].length] as const);
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The last name of a field's path: `content` of `messages[1].content`. */
function keyOf(field: string): string {
  return /([\w-]+)(?:\[\d+\])*$/.exec(field)?.[1] ?? field;
}

/**
 * The part of a template line that wrote a token: the expression that names the field's key, or the literal that has the
 * token's text. Null unless there is exactly one such part; the line alone does not say more.
 */
export function writtenBy(line: string, row: Row, token: number): readonly [number, number] | null {
  const field = fieldOf(row, token);
  const text = textOf(row, token).replace(/\n/g, '\\n').replace(/\t/g, '\\t');
  if (field === null) {
    const found = text.trim() === '' && !text.includes('\\n') ? [] : placesIn(line, new RegExp(escaped(text), 'g'));
    return found.length === 1 ? (found[0] ?? null) : null;
  }
  const key = escaped(keyOf(field));
  const found = placesIn(line, new RegExp(`[\\w.\\[\\]'"-]*(?:\\.${key}\\b|\\[['"]${key}['"]\\])`, 'g'));
  return found.length === 1 ? (found[0] ?? null) : null;
}
