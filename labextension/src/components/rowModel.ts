/**
 * What the viewer needs to know about a row beyond its columns: blocks without gaps, places of findings, text to search.
 */
import type { Finding, Medium, Row } from '../wire';
import { textOf } from './byteGroups';
import { mediumFinder } from './media';
import { plainColouring } from './tokenColours';
import type { Colouring } from './tokenColours';

/** A stretch of tokens drawn together: a segment of the row, or the tokens between two segments. */
export interface Block {
  readonly role: string | null;
  readonly message: number | null;
  readonly start: number;
  readonly end: number;
  readonly trained: number;
}

export interface PlacedFinding {
  readonly finding: Finding;
  /** Token that the finding is about; null when it is about the whole row. */
  readonly token: number | null;
  /** Block under which it is shown; null when it is shown on top. */
  readonly block: number | null;
}

export interface RowModel {
  readonly row: Row;
  readonly length: number;
  readonly trained: number;
  readonly blocks: readonly Block[];
  readonly placed: readonly PlacedFinding[];
  /** Tokens that findings are about, ascending, each once. */
  readonly problems: readonly number[];
  /** A token with a sign of its own: where two rows part. */
  readonly parting: number | null;
  /** The image that a token stands for a piece of. */
  mediumAt(token: number): Medium | null;
  isProblem(token: number): boolean;
  blockOf(token: number): number;
  /** Tokens where the text begins, or that have the id, ascending. */
  matches(needle: string): readonly number[];
  /** What the tokens are coloured by; steps and marks of each. */
  readonly colouring: Colouring;
}

const ROLE_CLASSES: ReadonlySet<string> = new Set(['system', 'user', 'assistant', 'tool', 'prompt', 'completion']);

export function roleClass(role: string | null): string {
  return role === null || !ROLE_CLASSES.has(role) ? 'wb-r-other' : `wb-r-${role}`;
}

export function fieldOf(row: Row, token: number): string | null {
  return row.tables.field[row.tokens.field[token] ?? -1] ?? null;
}

export function reasonOf(row: Row, token: number): string {
  return row.tables.reason[row.tokens.reason[token] ?? -1] ?? '';
}

export function lineOf(row: Row, token: number): number | null {
  return row.tables.line[row.tokens.line[token] ?? -1] ?? null;
}

export function roleOf(row: Row, token: number): string | null {
  return row.tables.role[row.tokens.role[token] ?? -1] ?? null;
}

function countTrained(row: Row, start: number, end: number): number {
  let count = 0;
  for (let token = start; token < end; token += 1) {
    count += row.tokens.trained[token] === 1 ? 1 : 0;
  }
  return count;
}

function coverWithBlocks(row: Row): readonly Block[] {
  const length = row.tokens.id.length;
  const blocks: Block[] = [];
  let at = 0;
  const fillTo = (end: number): void => {
    if (end > at) {
      blocks.push({ role: null, message: null, start: at, end, trained: countTrained(row, at, end) });
      at = end;
    }
  };
  for (const segment of [...row.segments].sort((a, b) => a.start - b.start)) {
    const start = Math.max(segment.start, at);
    const end = Math.min(segment.end, length);
    if (end > start) {
      fillTo(start);
      blocks.push({ ...segment, start, end, trained: countTrained(row, start, end) });
      at = end;
    }
  }
  fillTo(length);
  return splitAtDocuments(row, blocks);
}

/** A document of a packed row begins a block of its own. */
function splitAtDocuments(row: Row, blocks: readonly Block[]): readonly Block[] {
  const starts = row.documents.map(document => document.start).sort((a, b) => a - b);
  return blocks.flatMap(block => {
    const inside = starts.filter(start => start > block.start && start < block.end);
    const edges = [block.start, ...inside, block.end];
    return edges.slice(1).map((end, index) => {
      const start = edges[index] ?? block.start;
      return { ...block, start, end, trained: inside.length === 0 ? block.trained : countTrained(row, start, end) };
    });
  });
}

function messageIn(field: string): number | null {
  const match = /\[(\d+)\]/.exec(field);
  return match === null ? null : Number(match[1]);
}

function tokenOfField(row: Row, field: string): number | null {
  const exact = row.tables.field.indexOf(field);
  const table =
    exact >= 0
      ? exact
      : row.tables.field.findIndex(other => other !== null && (other.startsWith(field) || field.startsWith(other)));
  const token = table < 0 ? -1 : row.tokens.field.indexOf(table);
  return token < 0 ? null : token;
}

function place(row: Row, blocks: readonly Block[], finding: Finding): PlacedFinding {
  const { field, token: at } = finding;
  if (at !== null && at >= 0 && at < row.tokens.id.length) {
    return { finding, token: at, block: blocks.findIndex(item => at >= item.start && at < item.end) };
  }
  if (field === null) {
    return { finding, token: null, block: null };
  }
  const message = messageIn(field);
  let token = tokenOfField(row, field);
  let block = blocks.findIndex(item =>
    token === null ? message !== null && item.message === message : token >= item.start && token < item.end
  );
  if (block < 0) {
    token = null;
    block = -1;
  }
  return { finding, token: token ?? blocks[block]?.start ?? null, block: block < 0 ? null : block };
}

function blockFinder(blocks: readonly Block[]): (token: number) => number {
  return token => lastAtMost(blocks.length, index => blocks[index]?.start ?? 0, token);
}

/** Every place of a text, one behind the other. */
function placesOf(haystack: string, wanted: string): number[] {
  const found: number[] = [];
  for (let at = haystack.indexOf(wanted); at >= 0 && wanted !== ''; at = haystack.indexOf(wanted, at + wanted.length)) {
    found.push(at);
  }
  return found;
}

function finder(row: Row): (needle: string) => readonly number[] {
  let text: string | null = null;
  let offsets: readonly number[] = [];
  let last: { readonly needle: string; readonly found: readonly number[] } = { needle: '', found: [] };
  const prepare = (): string => {
    if (text === null) {
      let total = 0;
      const pieces = row.tokens.text.map((_, token) => textOf(row, token));
      offsets = pieces.map(piece => {
        const before = total;
        total += piece.length;
        return before;
      });
      text = pieces.join('').toLowerCase();
    }
    return text;
  };
  const tokenAt = (character: number): number => lastAtMost(offsets.length, index => offsets[index] ?? 0, character);
  return needle => {
    if (needle !== last.needle) {
      const found = new Set(placesOf(prepare(), needle.toLowerCase()).map(tokenAt));
      if (/^\d+$/.test(needle)) {
        row.tokens.id.forEach((id, token) => id === Number(needle) && found.add(token));
      }
      last = { needle, found: [...found].sort((a, b) => a - b) };
    }
    return last.found;
  };
}

/** Last index whose value is at most `wanted`, in an ascending array. */
export function lastAtMost(length: number, value: (index: number) => number, wanted: number): number {
  let low = 0;
  let high = length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (value(middle) <= wanted) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

export function rowModel(row: Row, parting: number | null = null): RowModel {
  const blocks = coverWithBlocks(row);
  const placed = row.findings.map(finding => place(row, blocks, finding));
  const tokens = new Set(placed.map(item => item.token).filter(token => token !== null));
  const length = row.tokens.id.length;
  return {
    row,
    length,
    trained: countTrained(row, 0, length),
    blocks,
    placed,
    problems: [...tokens].sort((a, b) => a - b),
    parting,
    mediumAt: mediumFinder(row),
    isProblem: token => tokens.has(token),
    blockOf: blockFinder(blocks),
    matches: finder(row),
    colouring: plainColouring
  };
}

/** What is shown where a payload has no rows. */
export function emptyRow(title: string): Row {
  const none: readonly never[] = [];
  return {
    position: 0,
    row: null,
    title,
    type: '',
    characters: 0,
    truncated: 0,
    tokens: {
      id: none,
      text: none,
      bytes: none,
      start: none,
      end: none,
      trained: none,
      special: none,
      reason: none,
      field: none,
      line: none,
      role: none,
      position: none
    },
    tables: { reason: none, field: none, line: none, role: none },
    segments: none,
    sources: none,
    documents: none,
    findings: none,
    measures: {},
    media: none,
    lines: {},
    reasons: {},
    desirable: null
  };
}
