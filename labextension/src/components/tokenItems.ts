/** The vertical order of a row: lines, findings under their message, borders of documents; and where each begins. */
import type { RowModel } from './rowModel';
import type { Line } from './tokenLayout';

export type Item =
  | { readonly kind: 'line'; readonly line: number; readonly block: number }
  | { readonly kind: 'finding'; readonly finding: number }
  | { readonly kind: 'document'; readonly document: number };

/** Heights in CSS pixels, as in tokens.css. */
export const LINE_HEIGHT = 22;
export const BLOCK_PADDING = 8;
const DOCUMENT_HEIGHT = 30;
const FINDING_HEIGHT = 76;
/** Role and counts in the margin need this much even beside a single line. */
const LABEL_HEIGHT = 40;

export interface Items {
  readonly items: readonly Item[];
  /** Top of each item, and at the end the height of all. */
  readonly tops: Float64Array;
  /** Item of each line. */
  readonly ofLine: Int32Array;
}

/** `extra`: what the block adds above its first or below its last line. */
function heightOf(item: Item, findingHeights: ReadonlyMap<number, number>, extra: number): number {
  switch (item.kind) {
    case 'line':
      return LINE_HEIGHT + extra;
    case 'finding':
      return findingHeights.get(item.finding) ?? FINDING_HEIGHT;
    case 'document':
      return DOCUMENT_HEIGHT;
  }
}

function order(model: RowModel, lines: readonly Line[]): readonly Item[] {
  const findings = new Map<number, number[]>();
  model.placed.forEach((placed, index) => {
    if (placed.block !== null) {
      findings.set(placed.block, [...(findings.get(placed.block) ?? []), index]);
    }
  });
  const documents = new Map(model.row.documents.map((document, index) => [document.start, index]));
  const items: Item[] = [];
  lines.forEach((line, index) => {
    const isFirst = lines[index - 1]?.block !== line.block;
    const document = isFirst ? documents.get(line.from) : undefined;
    if (document !== undefined) {
      items.push({ kind: 'document', document });
    }
    items.push({ kind: 'line', line: index, block: line.block });
    if (lines[index + 1]?.block !== line.block) {
      items.push(...(findings.get(line.block) ?? []).map(finding => ({ kind: 'finding' as const, finding })));
    }
  });
  return items;
}

/** `labelAbove`: height of the label above a block where the card is narrow; 0 where it stands beside the lines. */
export function arrange(
  model: RowModel,
  lines: readonly Line[],
  findingHeights: ReadonlyMap<number, number>,
  labelAbove: number
): Items {
  const items = order(model, lines);
  const tops = new Float64Array(items.length + 1);
  const ofLine = new Int32Array(lines.length);
  let inBlock = 0;
  items.forEach((item, index) => {
    let extra = 0;
    if (item.kind === 'line') {
      ofLine[item.line] = index;
      const isFirst = lines[item.line - 1]?.block !== item.block;
      const isLast = lines[item.line + 1]?.block !== item.block;
      inBlock = isFirst ? 1 : inBlock + 1;
      extra =
        (isFirst ? BLOCK_PADDING + labelAbove : 0) +
        (isLast && labelAbove === 0 ? Math.max(0, LABEL_HEIGHT - inBlock * LINE_HEIGHT) : 0);
    }
    tops[index + 1] = (tops[index] ?? 0) + heightOf(item, findingHeights, extra);
  });
  return { items, tops, ofLine };
}

function signs(model: RowModel): string {
  return `${model.problems.join()} ${model.placed.map(item => item.finding.code).join()}`;
}

/** Whether nothing moves when one view of the same tokens takes the place of another. */
export function keepsPlaces(before: RowModel, after: RowModel): boolean {
  const { by } = after.colouring;
  const marksStay = before.colouring.by === by && by !== 'reason';
  return marksStay && before.blocks.length === after.blocks.length && signs(before) === signs(after);
}
