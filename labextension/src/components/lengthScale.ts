/** From tokens to pixels and back, and how many rows a max_length would cut: what the histogram computes. */
import type { PickerState } from '../wire';

export type Lengths = NonNullable<PickerState['lengths']>;

export interface Scale {
  readonly first: number;
  readonly last: number;
  /** Share of the width, 0 to 1, at which a length stands. */
  at(length: number): number;
  /** The length at a share of the width. */
  length(share: number): number;
}

export function scaleOf(lengths: Lengths): Scale {
  const first = lengths.edges[0] ?? 0;
  const last = lengths.edges[lengths.edges.length - 1] ?? 1;
  const [to, from]: readonly [(x: number) => number, (x: number) => number] =
    lengths.scale === 'log' ? [x => Math.log2(Math.max(1, x)), x => 2 ** x] : [x => x, x => x];
  const span = Math.max(Number.EPSILON, to(last) - to(first));
  return {
    first,
    last,
    at: length => Math.min(1, Math.max(0, (to(length) - to(first)) / span)),
    length: share => from(to(first) + Math.min(1, Math.max(0, share)) * span)
  };
}

/** How many rows are longer than a limit; the lengths are sorted. */
export function rowsOver(values: readonly number[], limit: number | null): number {
  if (limit === null) {
    return 0;
  }
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) > limit) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return values.length - low;
}

/** A round length near the one that was pointed at: a pointer is not as exact as a number. */
export function rounded(length: number): number {
  const step = Math.max(1, 2 ** Math.floor(Math.log2(Math.max(1, length) / 16)));
  return Math.max(1, Math.round(length / step) * step);
}

/** The edge `by` bars to the right (or to the left) of a length; behind the last one there is no limit. */
export function edgeFrom(lengths: Lengths, length: number | null, by: number): number | null {
  const edges = lengths.edges.filter(edge => edge >= 1);
  const here = length ?? Number.POSITIVE_INFINITY;
  if (by > 0) {
    const next = edges.filter(edge => edge > here)[by - 1];
    return next === undefined || next >= (edges[edges.length - 1] ?? 1) ? null : next;
  }
  const before = edges.filter(edge => edge < here).reverse();
  return before[-by - 1] ?? before[before.length - 1] ?? edges[0] ?? 1;
}

/** Round numbers for the axis, from the first to the last. */
export function ticks(scale: Scale, isLog: boolean, most: number): readonly number[] {
  if (!isLog) {
    return Array.from({ length: most + 1 }, (_, i) =>
      Math.round(scale.first + ((scale.last - scale.first) * i) / most)
    );
  }
  const from = Math.floor(Math.log2(Math.max(1, scale.first)));
  const to = Math.floor(Math.log2(scale.last));
  const every = Math.max(1, Math.ceil((to - from) / most));
  return Array.from({ length: Math.floor((to - from) / every) + 1 }, (_, i) => 2 ** (from + i * every));
}
