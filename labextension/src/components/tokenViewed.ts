/** What the viewer works out of rows and a payload; it keeps nothing. */
import type { Row, TokensPayload } from '../wire';
import { formatNumber, h } from './component';
import type { Trans } from './component';
import { findingCard } from './findingCard';
import { kindOf, KINDS } from './problemKinds';
import type { ProblemKind } from './problemKinds';
import type { RowModel } from './rowModel';
import type { ColourBy } from './tokenColours';
import { differenceLine } from './tokenHeader';

const MOST_ON_TOP = 8;

/** What is said above the tokens: the first difference of a batch, findings about the row as a whole. */
export function topNotes(payload: TokensPayload, model: RowModel, trans: Trans): readonly HTMLElement[] {
  const onTop = model.placed.filter(item => item.block === null).map(item => item.finding);
  const rest = onTop.length - MOST_ON_TOP;
  const difference = differenceLine(payload, trans);
  const note = (words: string): HTMLElement => h('p', { class: 'wb-more wb-sub' }, words);
  return [
    ...(difference === null ? [] : [difference]),
    ...onTop.slice(0, MOST_ON_TOP).map(finding => findingCard(finding, trans, finding.row === model.row.row)),
    ...(rest > 0 ? [note(trans.__('and %1 more', formatNumber(rest)))] : []),
    ...(model.length === 0 ? [note(trans.__('This row has no tokens.'))] : [])
  ];
}

/** Rows with each kind of problem: all rows where the payload says so, else those that are here. */
export function kindsOf(payload: TokensPayload, rows: readonly Row[]): Readonly<Partial<Record<ProblemKind, number>>> {
  if (Object.keys(payload.problems).length > 0) {
    return payload.problems;
  }
  const has = (row: Row, kind: ProblemKind): boolean => row.findings.some(item => kindOf(item) === kind);
  return Object.fromEntries(KINDS.map(kind => [kind, rows.filter(row => has(row, kind)).length]));
}

/** Whether no row is known or likely to have a finding. */
export function isClean(payload: TokensPayload, rows: readonly Row[]): boolean {
  const { totals, row_count } = payload;
  const elsewhere = totals === null ? row_count > rows.length : totals.errors + totals.warnings > 0;
  return !elsewhere && rows.every(row => row.findings.length === 0);
}

/** Python for the row that is shown now, coloured so; a batch is shown whole, its code stays. */
export function codeOf(payload: TokensPayload, row: Row, by: ColourBy): string {
  const { code, first, kind } = payload;
  const name = /^(\w+)/.exec(code)?.[1];
  if (kind === 'batch' || row.row === null || name === undefined || !/^\w+(?:$|\[\d+\]|\.look\()/.test(code)) {
    return code;
  }
  if (by !== 'trained') {
    return `${name}.look(row=${row.row}, colour_by="${by}")`;
  }
  return row.position === first && !code.includes('.look(') ? code : `${name}[${row.row}]`;
}

/** Tokens whose label or rule differs; null where the rows are not of the same tokens. */
export function changedTokens(before: Row, after: Row): readonly number[] | null {
  const [old, now] = [before.tokens, after.tokens];
  if (old.id.length !== now.id.length || old.id.some((id, token) => id !== now.id[token])) {
    return null;
  }
  return now.trained.flatMap((trained, token) => (trained === old.trained[token] ? [] : [token]));
}

/** First token of the next message, or of this one and then the one before. */
export function nextBlock(model: RowModel, current: number, by: 1 | -1): number {
  const index = model.blockOf(current);
  const start = model.blocks[index]?.start ?? 0;
  const target = by < 0 && current > start ? index : index + by;
  return model.blocks[Math.max(0, Math.min(model.blocks.length - 1, target))]?.start ?? current;
}
