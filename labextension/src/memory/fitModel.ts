/**
 * What the fit bar draws, whoever computed it: the closed form in the page, or Python (a trace, a measurement).
 *
 * Sizes are bytes. A part belongs to one kind; a peak is a moment of the step and what is live in it.
 */

import { KINDS } from './kinds';

/** What comes on top of live bytes. */
export const TOP_KINDS = ['allocator', 'context'] as const;
export const FIT_KINDS = [...KINDS, ...TOP_KINDS] as const;
export type FitKind = (typeof FIT_KINDS)[number];

/** What stays from step to step; everything else comes and goes within one. */
export const STAYING: ReadonlySet<FitKind> = new Set(['weights', 'adapter', 'optimizer', 'reference model']);

export interface Span {
  readonly low: number;
  readonly high: number;
}

export interface FitPart {
  readonly name: string;
  readonly kind: FitKind;
  readonly bytes: number;
  readonly formula: string;
  readonly inputs: Readonly<Record<string, number>>;
  readonly source: string;
}

export interface FitPeak {
  readonly name: string;
  readonly bytes: number;
  readonly kinds: Readonly<Partial<Record<FitKind, number>>>;
  /** Names of the parts that are live in it. */
  readonly parts: readonly string[];
}

export interface Breakdown {
  readonly live: number;
  readonly reserved: Span;
  readonly context: Span;
  readonly parts: readonly FitPart[];
  readonly peaks: readonly FitPeak[];
  /** Name of the highest moment. */
  readonly peak: string;
}

export type FitWord = 'fits' | 'tight' | 'no';

export const middle = (span: Span): number => Math.floor((span.low + span.high) / 2);

/** What nvidia-smi will most likely show. */
export function shownBytes({ context, reserved }: Breakdown): number {
  return middle({ low: reserved.low + context.low, high: reserved.high + context.high });
}

/** Whether a step fits into `room` bytes (`Estimate.verdict` of workbench/memory/figures.py). */
export function verdictOf(made: Breakdown, room: number): FitWord {
  const usable = room - made.context.high;
  if (made.live > usable) {
    return 'no';
  }
  return made.reserved.high > usable ? 'tight' : 'fits';
}

export function highest(made: Breakdown): FitPeak | null {
  return made.peaks.find(peak => peak.name === made.peak) ?? made.peaks[0] ?? null;
}

/** Parts of a kind that are live at the highest moment, largest first. */
export function partsOf(made: Breakdown, kind: FitKind): readonly FitPart[] {
  const there = highest(made)?.parts ?? [];
  return made.parts
    .filter(part => part.kind === kind && part.bytes > 0 && there.includes(part.name))
    .sort((a, b) => b.bytes - a.bytes);
}

/** Bytes of every kind at the highest moment, with what the allocator and the driver hold on top. */
export function kindsOf(made: Breakdown): Readonly<Record<FitKind, number>> {
  const live = highest(made)?.kinds ?? {};
  const found = Object.fromEntries(KINDS.map(kind => [kind, live[kind] ?? 0])) as Record<FitKind, number>;
  found.allocator = Math.max(0, middle(made.reserved) - made.live);
  found.context = middle(made.context);
  return found;
}
