/** The closed form as the fit bar asks it: a choice in, a breakdown by kinds out. */
import type { FitTried } from '../wire/fit';
import type { Estimate } from './shapes';
import { settingsOf } from './fitChoice';
import type { FitChoice } from './fitChoice';
import type { Breakdown } from './fitModel';
import { byKind, kindOf } from './kinds';
import { evaluate } from './sharding';

/** What the closed form answers to a choice; throws where it does not know an answer. */
export type Estimator = (choice: FitChoice) => Breakdown;

export function breakdownOf(made: Estimate): Breakdown {
  const [low, high] = made.reserved;
  const [least, most] = made.context;
  return {
    live: made.live,
    reserved: { low, high },
    context: { low: least, high: most },
    parts: made.parts.map(part => ({ ...part, kind: kindOf(part.name) })),
    peaks: made.peaks.map(peak => ({
      name: peak.name,
      bytes: peak.bytes,
      kinds: byKind(peak.parts),
      parts: Object.keys(peak.parts)
    })),
    peak: made.peak.name
  };
}

export function estimatorOf(tried: FitTried): Estimator {
  return choice => {
    const made = breakdownOf(evaluate(tried.shapes, settingsOf(choice, tried)));
    // a payload from elsewhere may hold shapes that are none
    if (!Number.isFinite(made.live) || made.live <= 0) {
      throw new Error('The closed form gives no number for these shapes.');
    }
    return made;
  };
}
