/**
 * Tokens that are only some bytes of a character, together with the others that make it up.
 *
 * Byte-level vocabularies cut an emoji into two or three tokens, and a token may end one character and begin the next: a
 * group is the tokens that are whole characters together.
 */
import type { Row } from '../wire';

export interface ByteGroup {
  readonly start: number;
  readonly end: number;
  /** The characters; null where the bytes are none, as in a row that was cut inside one. */
  readonly text: string | null;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function isPart(row: Row, token: number): boolean {
  return typeof row.tokens.bytes[token] === 'string';
}

/** Whether a token and the next one share a character. */
function shared(row: Row, token: number): boolean {
  const { start, end } = row.tokens;
  return isPart(row, token) && isPart(row, token + 1) && (start[token + 1] ?? 0) < (end[token] ?? 0);
}

function decoded(row: Row, start: number, end: number): string | null {
  const digits = row.tokens.bytes.slice(start, end).join(' ').split(' ');
  try {
    return decoder.decode(Uint8Array.from(digits, digit => Number.parseInt(digit, 16)));
  } catch {
    return null;
  }
}

/** The group that a token belongs to; null where it is whole characters by itself. */
export function groupOf(row: Row, token: number): ByteGroup | null {
  if (!isPart(row, token)) {
    return null;
  }
  let start = token;
  let end = token + 1;
  while (start > 0 && shared(row, start - 1)) {
    start -= 1;
  }
  while (shared(row, end - 1)) {
    end += 1;
  }
  return { start, end, text: decoded(row, start, end) };
}

/** Characters of a token; those of a group are its first token's, so that texts of tokens join to the text of the row. */
export function textOf(row: Row, token: number): string {
  const own = row.tokens.text[token] ?? '';
  if (own !== '' || !isPart(row, token)) {
    return own;
  }
  const group = groupOf(row, token);
  return group !== null && group.start === token ? (group.text ?? '\ufffd') : '';
}
