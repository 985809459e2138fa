/**
 * Memory over one step, drawn from its moments: every moment a plateau, straight lines between what neighbours share.
 *
 * A drawing of the closed form, which knows moments and not time; a traced curve takes its place where there is one.
 */
import { STAYING } from './fitModel';
import type { Breakdown, FitKind, FitPeak } from './fitModel';

export const LAYERS = ['stays', 'gradients', 'activations', 'logits'] as const;
export type Layer = (typeof LAYERS)[number];
export type Heights = Readonly<Record<Layer, number>>;

export interface TimePoint {
  /** 0 to 1. */
  readonly at: number;
  readonly heights: Heights;
}

export interface TimePhase {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export interface Timeline {
  readonly points: readonly TimePoint[];
  readonly phases: readonly TimePhase[];
}

const FORWARD = 'forward';
const LOSS = 'loss backward';
/** Before the first step, and no part of one. */
const LOADING = 'loading';

function layerOf(kind: FitKind): Layer {
  if (STAYING.has(kind)) {
    return 'stays';
  }
  if (kind === 'gradients' || kind === 'communication') {
    return 'gradients';
  }
  return kind === 'logits' || kind === 'generation' ? 'logits' : 'activations';
}

function heightsOf(peak: FitPeak): Heights {
  const found = { stays: 0, gradients: 0, activations: 0, logits: 0 };
  for (const [kind, size] of Object.entries(peak.kinds) as [FitKind, number][]) {
    found[layerOf(kind)] += size;
  }
  return found;
}

export const total = (heights: Heights): number => LAYERS.reduce((sum, layer) => sum + heights[layer], 0);

const shared = (a: Heights, b: Heights): Heights => ({
  stays: Math.min(a.stays, b.stays),
  gradients: Math.min(a.gradients, b.gradients),
  activations: Math.min(a.activations, b.activations),
  logits: Math.min(a.logits, b.logits)
});

/** Moments before a step and behind it, which have no part in its forward. */
const BEFORE = ['loading', 'generate', 'score'];
const AFTER = ['sample', 'evaluation'];

interface Stretch {
  readonly name: string;
  readonly heights: Heights;
  readonly width: number;
}

/** The moments as stretches, loading only where it is the highest; a forward that fills up to the loss stands before the first that is as full. */
function stretches(made: Breakdown): readonly Stretch[] {
  const within = made.peaks.filter(({ name }) => name !== LOADING || name === made.peak);
  const found = within.map(peak => ({ name: peak.name, heights: heightsOf(peak), width: 1 }));
  const all = [
    ...found.filter(({ name }) => !AFTER.includes(name)),
    ...found.filter(({ name }) => AFTER.includes(name))
  ];
  const loss = all.find(stretch => stretch.name === LOSS);
  if (loss === undefined) {
    return all;
  }
  const isFull = (stretch: Stretch): boolean => 2 * stretch.heights.activations >= loss.heights.activations;
  const first = all.findIndex(stretch => !BEFORE.includes(stretch.name) && isFull(stretch));
  const forward = { name: FORWARD, heights: { ...loss.heights, logits: 0, gradients: 0 }, width: 1.6 };
  return [...all.slice(0, first), forward, ...all.slice(first)];
}

export function timelineOf(made: Breakdown): Timeline {
  const all = stretches(made);
  const whole = all.reduce((sum, stretch) => sum + stretch.width, 0) || 1;
  const rest = all.reduce<Heights | null>(
    (least, { heights }) => (least === null ? heights : shared(least, heights)),
    null
  );
  const points: TimePoint[] = [];
  const phases: TimePhase[] = [];
  let at = 0;
  all.forEach((stretch, index) => {
    const from = at / whole;
    at += stretch.width;
    const to = at / whole;
    phases.push({ name: stretch.name, from, to });
    const before = all[index - 1]?.heights ?? rest ?? stretch.heights;
    const after = all[index + 1]?.heights ?? rest ?? stretch.heights;
    points.push({ at: from, heights: shared(before, stretch.heights) });
    const rise = stretch.name === FORWARD ? 1 : 0.3;
    points.push({ at: from + rise * (to - from), heights: stretch.heights });
    if (rise < 1) {
      points.push({ at: from + 0.62 * (to - from), heights: stretch.heights });
      points.push({ at: to, heights: shared(stretch.heights, after) });
    }
  });
  return { points, phases };
}
