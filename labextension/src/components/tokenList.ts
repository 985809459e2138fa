/** The list of rows that are in the page, for outputs without a kernel. */
import type { Row, RowsAnswer } from '../wire';
import { kindOf } from './problemKinds';
import { rowModel } from './rowModel';
import type { ListQuery } from './tokenRows';

function fits(row: Row, query: ListQuery): boolean {
  const { kind, text } = query;
  const isKind =
    kind === null ||
    row.findings.some(finding => (kind === 'any' ? kindOf(finding) !== null : kindOf(finding) === kind));
  return isKind && (text === '' || String(row.row) === text || rowModel(row).matches(text).length > 0);
}

/** A page of them, sorted and filtered as the kernel would. */
export function listOf(rows: readonly Row[], query: ListQuery, start: number, count: number): RowsAnswer {
  const entries = rows
    .filter(row => fits(row, query))
    .map(row => ({
      position: row.position,
      row: row.row ?? row.position,
      title: row.title,
      tokens: row.tokens.id.length,
      trained: row.tokens.trained.filter(flag => flag === 1).length,
      problems: row.findings.filter(finding => kindOf(finding) !== null).length
    }))
    .sort((a, b) =>
      query.sort === 'longest'
        ? b.tokens - a.tokens
        : query.sort === 'trained'
          ? a.trained - b.trained
          : a.position - b.position
    );
  const longest = Math.max(1, ...entries.map(entry => entry.tokens));
  return { rows: entries.slice(start, start + count), total: entries.length, longest };
}
