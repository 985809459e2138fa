/** The closed form as the fit bar asks it: a choice in, a breakdown by kinds out. */
import type { FitTried } from '../wire/fit';
import type { Estimate } from './shapes';
import { settingsOf } from './fitChoice';
import type { FitChoice } from './fitChoice';
import type { Breakdown, FitPart, FitPeak, Span } from './fitModel';
import { byKind, kindOf } from './kinds';
import { evaluate } from './sharding';

/** What the closed form answers to a choice; throws where it does not know an answer. */
export type Estimator = (choice: FitChoice) => Breakdown;

/** Figures at once; parts and peaks, which only what is drawn needs, when they are asked for. */
class Found implements Breakdown {
  readonly live: number;
  readonly reserved: Span;
  readonly peak: string;
  private sorted: readonly FitPeak[] | null = null;

  constructor(
    private readonly made: Estimate,
    readonly context: Span
  ) {
    const [low, high] = made.reserved;
    this.live = made.live;
    this.reserved = { low, high };
    this.peak = made.peak.name;
  }

  get parts(): readonly FitPart[] {
    return this.made.parts.map(part => ({ ...part, kind: kindOf(part.name) }));
  }

  get peaks(): readonly FitPeak[] {
    this.sorted ??= this.made.peaks.map(peak => ({
      name: peak.name,
      bytes: peak.bytes,
      kinds: byKind(peak.parts),
      parts: Object.keys(peak.parts)
    }));
    return this.sorted;
  }
}

/**
 * The closed form on what is tried; a choice is an immutable value, and answered once.
 *
 * `beside` is added to what lies outside the allocator: a matter of the machine, of which Python may know more.
 */
export function estimatorOf(tried: FitTried, beside: Span = { low: 0, high: 0 }): Estimator {
  const answered = new WeakMap<FitChoice, Breakdown>();
  return choice => {
    const before = answered.get(choice);
    if (before !== undefined) {
      return before;
    }
    const made = evaluate(tried.shapes, settingsOf(choice, tried));
    // a payload from elsewhere may hold shapes that are none
    if (!Number.isFinite(made.live) || made.live <= 0) {
      throw new Error('The closed form gives no number for these shapes.');
    }
    const [low, high] = made.context;
    const found = new Found(made, { low: low + beside.low, high: high + beside.high });
    answered.set(choice, found);
    return found;
  };
}
