/** How many lines of a row may be in the page, so that a card keeps to its nodes. */
import type { Line } from './tokenLayout';

const NODES_PER_BLOCK = 12;
/** Nodes of a grid without any line. */
const NODES_OF_GRID = 6;
const FEWEST_SHOWN = 3;
const MOST_OVERSCAN = 2;

/** Lines of a row; how many of them are shown at a time; how many more are kept above and below. */
export interface FittedLines {
  readonly lines: readonly Line[];
  readonly shown: number;
  readonly overscan: number;
}

/** Most lines in a row such that no window of that many lines needs more than `budget` nodes; Infinity if all fit. */
export function linesWithin(lines: readonly Line[], perBlock: number, budget: number): number {
  let most = Infinity;
  let from = 0;
  let nodes = 0;
  lines.forEach((line, index) => {
    nodes += line.nodes + (lines[index - 1]?.block === line.block ? 0 : perBlock);
    while (nodes > budget && from < index) {
      most = Math.min(most, index - from);
      nodes -= lines[from]?.nodes ?? 0;
      from += 1;
    }
  });
  return most;
}

/** Lines beyond the shown ones cost what shown ones cost: few where there is little room. */
function overscanOf(most: number): number {
  return Math.max(0, Math.min(MOST_OVERSCAN, Math.floor((most - 1 - FEWEST_SHOWN) / 4)));
}

/**
 * Lay lines out so that what is in the page at a time needs no more than `budget` nodes.
 *
 * Scrolled by part of a line, a line more is seen than are shown. Where not even the fewest lines would fit, lines are
 * made narrower: tokens of one letter each on a wide page.
 *
 * @param layout - gives the lines for a width in CSS pixels.
 */
export function fitLines(layout: (width: number) => readonly Line[], width: number, budget: number): FittedLines {
  const left = budget - NODES_OF_GRID;
  let lines = layout(width);
  let most = linesWithin(lines, NODES_PER_BLOCK, left);
  if (most < FEWEST_SHOWN + 1) {
    lines = layout(Math.max(80, (width * most) / (FEWEST_SHOWN + 1)));
    most = linesWithin(lines, NODES_PER_BLOCK, left);
  }
  const overscan = overscanOf(most);
  return { lines, overscan, shown: Math.max(FEWEST_SHOWN, most - 1 - 2 * overscan) };
}

/** Nodes for each of several grids: what a short one does not need goes to the longer ones. */
export function shareNodes(budget: number, needs: readonly number[]): readonly number[] {
  const order = needs.map((need, index) => ({ need, index })).sort((a, b) => a.need - b.need);
  const shares = needs.map(() => 0);
  let left = budget;
  order.forEach(({ need, index }, done) => {
    const share = Math.min(need, Math.floor(left / (order.length - done)));
    shares[index] = share;
    left -= share;
  });
  return shares;
}
