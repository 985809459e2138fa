/**
 * Break a row into lines by arithmetic, so that a row of 100,000 tokens is drawn one screen at a time.
 *
 * Lines have one height; where they break depends only on widths that a canvas measures, each text once. What is on a
 * line is then exact, whichever part of the row is in the page.
 */
import { groupOf } from './byteGroups';
import { isPlain, visiblePieces } from './characters';
import type { PieceKind } from './characters';
import { extraWidth, mediumText } from './media';
import { fieldOf, reasonOf } from './rowModel';
import type { RowModel } from './rowModel';

export type TokenShape = 'plain' | 'special' | 'bytes' | 'padding' | 'media';

/** Smallest thing that is never broken over two lines. */
export interface Part {
  readonly kind: PieceKind;
  readonly shown: string;
  /** A newline of the data ends the line; one of the template is only a mark. */
  readonly breaks: boolean;
}

/** Tokens `from` to `to` (exclusive); of the first token `skip` parts stand on earlier lines, of the last `keep` are here. */
export interface Line {
  readonly block: number;
  readonly from: number;
  readonly to: number;
  readonly skip: number;
  readonly keep: number;
  /** DOM nodes that this line needs. */
  readonly nodes: number;
}

export interface Measure {
  /** Width in CSS pixels of a text in the token font. */
  text(text: string): number;
  /** Width of a chip with this text, its margins included. */
  chip(text: string, shape: 'special' | 'bytes' | 'padding' | 'hidden' | 'media' | 'mark'): number;
}

const LONGEST_PART = 16;
const GAP = 1.5;
/** Width in pixels of a sign behind a token's text, with its frame. */
const SIGN = 21;

/** Whether a sign stands behind the token's text. */
function hasSign(model: RowModel, token: number): boolean {
  return model.isProblem(token) || model.parting === token;
}

export function shapeOf(model: RowModel, token: number): TokenShape {
  const { tokens } = model.row;
  if (model.mediumAt(token) !== null) {
    return 'media';
  }
  if (reasonOf(model.row, token) === 'padding') {
    return 'padding';
  }
  if (tokens.bytes[token] !== null && tokens.bytes[token] !== undefined) {
    return 'bytes';
  }
  return tokens.special[token] === 1 ? 'special' : 'plain';
}

/** Whether a run of tokens of this shape is drawn as one chip: padding, an image. */
export function isRun(shape: TokenShape): boolean {
  return shape === 'padding' || shape === 'media';
}

/** One past the last token of the run of padding, or of the image, that `token` stands in. */
export function runEnd(model: RowModel, token: number): number {
  const medium = model.mediumAt(token);
  return medium === null ? paddingEnd(model, token) : Math.min(medium.end, model.length);
}

/** One past the last token of the run of padding that begins at `token`. */
export function paddingEnd(model: RowModel, token: number): number {
  const { reason } = model.row.tokens;
  const { documents } = model.row;
  let end = token + 1;
  while (end < model.length && reason[end] === reason[token] && !documents.some(item => item.start === end)) {
    end += 1;
  }
  return end;
}

function cut(kind: PieceKind, shown: string, size: number): Part[] {
  const characters = [...shown];
  const parts: Part[] = [];
  for (let at = 0; at < characters.length; at += size) {
    parts.push({ kind, shown: characters.slice(at, at + size).join(''), breaks: false });
  }
  return parts;
}

/** The drawn parts of a token. */
export function partsOf(model: RowModel, token: number): readonly Part[] {
  const text = model.row.tokens.text[token] ?? '';
  const shape = shapeOf(model, token);
  if (shape === 'bytes') {
    return [{ kind: 'text', shown: model.row.tokens.bytes[token] ?? '', breaks: false }];
  }
  if (isPlain(text) && text.length <= LONGEST_PART) {
    return [{ kind: 'text', shown: text, breaks: false }];
  }
  const breaks = fieldOf(model.row, token) !== null && shape === 'plain';
  return visiblePieces(text).flatMap(piece =>
    piece.kind === 'newline'
      ? [...piece.shown].map(shown => ({ kind: piece.kind, shown, breaks }))
      : piece.kind === 'hidden'
        ? [{ ...piece, breaks: false }]
        : cut(piece.kind, piece.shown, LONGEST_PART)
  );
}

/** The character that a token completes together with those before it, as it is drawn; nothing for any other token. */
export function completedBy(model: RowModel, token: number): string {
  const group = groupOf(model.row, token);
  if (group === null || group.end !== token + 1) {
    return '';
  }
  const characters = group.text === null ? '?' : group.text.trim() === '' ? group.text : group.text.trim();
  return visiblePieces(characters)
    .map(piece => piece.shown)
    .join('');
}

/** Whether the token is drawn as `·text` with a mark made by CSS, which costs no node. */
export function hasSpaceMark(parts: readonly Part[]): boolean {
  return parts.length === 2 && parts[0]?.kind === 'space' && parts[0].shown.length === 1 && parts[1]?.kind === 'text';
}

function nodesOf(parts: readonly Part[]): number {
  return hasSpaceMark(parts) || (parts.length === 1 && parts[0]?.kind === 'text') ? 2 : 1 + 2 * parts.length;
}

class LineBreaker {
  readonly lines: Line[] = [];
  private x = 0;
  private nodes = 0;
  private from = 0;
  private skip = 0;

  constructor(
    private readonly block: number,
    private readonly width: number,
    start: number
  ) {
    this.from = start;
  }

  /** Close the line so that it ends before part `part` of `token`. */
  close(token: number, part: number): void {
    if (token === this.from && part === this.skip) {
      return;
    }
    this.lines.push({
      block: this.block,
      from: this.from,
      to: part > 0 ? token + 1 : token,
      skip: this.skip,
      keep: part > 0 ? part : Infinity,
      nodes: this.nodes + 1
    });
    this.from = token;
    this.skip = part;
    this.x = 0;
    this.nodes = 0;
  }

  fits(width: number): boolean {
    return this.x === 0 || this.x + width <= this.width;
  }

  take(width: number, nodes: number): void {
    this.x += width;
    this.nodes += nodes;
  }
}

function chipWidth(measure: Measure, shape: TokenShape, parts: readonly Part[]): number {
  const text = parts.map(part => part.shown).join('');
  return shape === 'plain' ? measure.text(text) : measure.chip(text, shape);
}

function partWidth(measure: Measure, part: Part): number {
  return part.kind === 'hidden' ? measure.chip(part.shown, 'hidden') : measure.text(part.shown);
}

/** What the breaking of lines needs to know about a plain token. */
interface Extent {
  readonly parts: readonly Part[];
  readonly widths: readonly number[];
  readonly total: number;
  readonly nodes: number;
  readonly breaks: boolean;
}

function extentOf(parts: readonly Part[], measure: Measure): Extent {
  const widths = parts.map(part => partWidth(measure, part));
  return {
    parts,
    widths,
    total: widths.reduce((sum, item) => sum + item, GAP),
    nodes: nodesOf(parts),
    breaks: parts.some(part => part.breaks)
  };
}

/** Tokens repeat: a row of 100,000 has a few thousand different ones. */
class Extents {
  private readonly known = new Map<string, Extent>();

  constructor(
    private readonly model: RowModel,
    private readonly measure: Measure
  ) {}

  of(token: number): Extent {
    const text = this.model.row.tokens.text[token] ?? '';
    const key = text.includes('\n') && fieldOf(this.model.row, token) === null ? `template ${text}` : text;
    let extent = this.known.get(key);
    if (extent === undefined) {
      extent = extentOf(partsOf(this.model, token), this.measure);
      this.known.set(key, extent);
    }
    return extent;
  }
}

/** Width of the parts up to the first newline that ends the line. */
function headWidth(extent: Extent): number {
  const end = extent.parts.findIndex(part => part.breaks);
  return extent.widths.slice(0, end + 1).reduce((sum, item) => sum + item, 0);
}

/** What is drawn beside a token's text: the sign of a problem, the letter of a group. */
interface Beside {
  readonly width: number;
  readonly nodes: number;
}

function besideOf(model: RowModel, token: number, measure: Measure): Beside {
  const mark = model.colouring.markOf(token);
  const char = completedBy(model, token);
  return {
    width:
      (hasSign(model, token) ? SIGN : 0) +
      (mark === null ? 0 : measure.chip(mark, 'mark')) +
      (char === '' ? 0 : measure.chip(char, 'mark')),
    nodes: (mark === null ? 0 : 2) + (char === '' ? 0 : 2)
  };
}

function breakToken(breaker: LineBreaker, token: number, extent: Extent, width: number, beside: Beside): void {
  const { parts, widths } = extent;
  const whole = extent.total + beside.width;
  const head = extent.breaks ? headWidth(extent) : whole;
  if (head <= width && !breaker.fits(head)) {
    breaker.close(token, 0);
  }
  if (whole <= width && !extent.breaks) {
    breaker.take(whole, extent.nodes + beside.nodes);
    return;
  }
  parts.forEach((part, index) => {
    const wide = widths[index] ?? 0;
    if (!breaker.fits(wide)) {
      breaker.close(token, index);
    }
    breaker.take(wide, 3);
    if (part.breaks) {
      breaker.close(index + 1 < parts.length ? token : token + 1, index + 1 < parts.length ? index + 1 : 0);
    }
  });
}

function breakBlock(
  model: RowModel,
  block: number,
  measure: Measure,
  extents: Extents,
  width: number
): readonly Line[] {
  const { start, end } = model.blocks[block] ?? { start: 0, end: 0 };
  const breaker = new LineBreaker(block, width, start);
  for (let token = start; token < end; token += 1) {
    const shape = shapeOf(model, token);
    const beside = besideOf(model, token, measure);
    if (shape === 'plain') {
      breakToken(breaker, token, extents.of(token), width, beside);
      continue;
    }
    const run = isRun(shape) ? Math.min(runEnd(model, token), end) : token + 1;
    const parts = partsOf(model, token);
    const wide =
      shape === 'media'
        ? measure.chip(mediumText(model, token), shape) + extraWidth(model, token, hasSign(model, token))
        : shape === 'padding'
          ? measure.chip(`${run - token} padding`, shape)
          : chipWidth(measure, shape, parts);
    if (!breaker.fits(wide + beside.width)) {
      breaker.close(token, 0);
    }
    breaker.take(wide + beside.width, (shape === 'media' ? 4 : nodesOf(parts)) + beside.nodes);
    token = run - 1;
  }
  breaker.close(end, 0);
  return breaker.lines;
}

/** All lines of the row for a text width in CSS pixels. */
export function layoutLines(model: RowModel, measure: Measure, width: number): readonly Line[] {
  const extents = new Extents(model, measure);
  return model.blocks.flatMap((_, block) => breakBlock(model, block, measure, extents, width));
}

/** Measure with a canvas, each text once; the font is the computed font of `probe`. */
export function canvasMeasure(probe: HTMLElement): Measure {
  const context = document.createElement('canvas').getContext('2d');
  const style = getComputedStyle(probe);
  const size = Number.parseFloat(style.fontSize) || 12.5;
  const known = new Map<string, number>();
  if (context !== null) {
    context.font = `${style.fontSize} ${style.fontFamily}`;
  }
  const raw = (text: string): number => context?.measureText(text).width ?? text.length * size * 0.6;
  const cell = raw('0');
  const fixed = Math.abs(raw('iiii') - raw('WWWW')) < 0.01;
  const text = (value: string): number => {
    if (fixed && /^[\x20-\x7e·]*$/.test(value)) {
      return value.length * cell;
    }
    let width = known.get(value);
    if (width === undefined) {
      width = raw(value);
      known.set(value, width);
    }
    return width;
  };
  /** Font size as a share of the token font, and padding, border and margin in pixels; as in tokens.css. */
  const CHIPS = {
    special: [0.92, 13],
    bytes: [0.84, 11],
    padding: [0.92, 16],
    media: [0.92, 14],
    hidden: [0.8, 8],
    mark: [1, 7]
  } as const;
  return {
    text,
    chip: (value, shape) => text(value) * CHIPS[shape][0] + CHIPS[shape][1]
  };
}
