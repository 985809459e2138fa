/**
 * What would make a run fit: one change each, largest saving first. The twin of workbench/memory/remedies.py.
 *
 * A candidate is offered where it changes something and saves at least a hundredth of what is shown now.
 */
import type { FitTried } from '../wire/fit';
import { lengthOf } from './fitChoice';
import type { FitChoice } from './fitChoice';
import { shownBytes, verdictOf } from './fitModel';
import type { Breakdown, FitWord } from './fitModel';

export type RemedyName =
  'checkpointing' | 'quantisation' | 'batch' | 'length' | 'rank' | 'optimizer' | 'adapter' | 'attention';

export interface Remedy {
  readonly name: RemedyName;
  readonly choice: FitChoice;
  /** Bytes that nvidia-smi would show less. */
  readonly saved: number;
  readonly shown: number;
  /** Null where no card is known. */
  readonly word: FitWord | null;
}

/** Of what nvidia-smi shows now: a smaller saving is no remedy. */
const LEAST_SHARE = 0.01;

type Change = (now: FitChoice, tried: FitTried) => Partial<FitChoice> | null;

/** The largest power of two below a length. */
const shorter = (length: number): number => 2 ** Math.floor(Math.log2(length - 1));

/** What exists on a GPU only. */
const ON_GPU: ReadonlySet<RemedyName> = new Set(['quantisation', 'optimizer', 'attention']);

/** Every candidate with the change it makes, or null where it does not apply. */
const CANDIDATES: Readonly<Record<RemedyName, Change>> = {
  checkpointing: now => (now.checkpointing ? null : { checkpointing: true }),
  quantisation: now => (now.adapter === 'none' || now.quantisation !== 'none' ? null : { quantisation: 'nf4' }),
  batch: now => (now.batch > 1 ? { batch: 1, accumulation: now.accumulation * now.batch } : null),
  length: (now, tried) => {
    const length = lengthOf(now, tried);
    return length > 128 ? { length: shorter(length) } : null;
  },
  rank: now => (now.adapter === 'none' || now.rank <= 8 ? null : { rank: 8 }),
  optimizer: now => (now.optim.startsWith('adamw_torch') ? { optim: 'adamw_8bit' } : null),
  adapter: now => (now.adapter === 'none' ? { adapter: 'lora' } : null),
  attention: now => (now.attention === 'flash_attention_2' ? null : { attention: 'flash_attention_2' })
};

/** The changes that save something, largest saving first; `room` is what the card has free, in bytes. */
export function remediesOf(
  now: FitChoice,
  tried: FitTried,
  estimate: (choice: FitChoice) => Breakdown,
  room: number | null
): readonly Remedy[] {
  const before = shownBytes(estimate(now));
  const found: Remedy[] = [];
  for (const [name, change] of Object.entries(CANDIDATES) as [RemedyName, Change][]) {
    const changed = ON_GPU.has(name) && tried.settings.device === 'cpu' ? null : change(now, tried);
    if (changed !== null) {
      const choice = { ...now, ...changed };
      const made = estimate(choice);
      const shown = shownBytes(made);
      found.push({ name, choice, saved: before - shown, shown, word: room === null ? null : verdictOf(made, room) });
    }
  }
  return found.filter(remedy => remedy.saved >= LEAST_SHARE * before).sort((a, b) => b.saved - a.saved);
}
