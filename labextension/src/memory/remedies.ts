/**
 * What would make a run fit: single changes, largest saving first, and the fewest that fit together. The twin of
 * workbench/memory/remedies.py: the same table in the same order, held to it by tests/memory/test_memory_choices.py.
 */
import type { FitTried } from '../wire/fit';
import { lengthOf } from './fitChoice';
import type { FitChoice } from './fitChoice';
import type { Estimator } from './fitEstimate';
import { groupOf, isOnline, refers } from './online';
import { shownBytes, verdictOf } from './fitModel';
import type { Breakdown, FitWord } from './fitModel';

export type RemedyName =
  | 'checkpointing'
  | 'attention'
  | 'fused optimizer'
  | 'optimizer'
  | 'paged optimizer'
  | 'engine sleeps'
  | 'reference before'
  | 'bfloat16'
  | 'batch'
  | 'answers'
  | 'quantisation'
  | 'rank'
  | 'adapter'
  | 'no reference'
  | 'length'
  | 'shards';

export interface Remedy {
  readonly name: RemedyName;
  readonly choice: FitChoice;
  /** Bytes that nvidia-smi would show less. */
  readonly saved: number;
  readonly shown: number;
  readonly live: number;
  /** Upper end of what is reserved. */
  readonly reserved: number;
  /** Null where no card is known. */
  readonly word: FitWord | null;
}

export interface Together {
  readonly names: readonly RemedyName[];
  readonly remedy: Remedy;
}

const LEAST_RANK = 8;
/** Lengths that are proposed are multiples of the first, and none below the second. */
const LENGTH_STEP = 64;
const LEAST_LENGTH = 256;
/** Of what is shown now: a smaller saving is no remedy. */
const LEAST_SHARE = 0.01;
/** Changes that are proposed together at most. */
const MOST_TOGETHER = 4;

const EIGHT_BIT = ['adamw_8bit', 'adamw_bnb_8bit'];
const LARGE_STATE = ['adamw_torch', 'adamw_torch_fused', 'paged_adamw_32bit'];

/** GPUs that are proposed to share a run. */
const WORLDS = [2, 4, 8];

/** A run that is changed, and what is known of it. */
interface Asked {
  readonly now: FitChoice;
  readonly tried: FitTried;
  word(choice: FitChoice): FitWord | null;
}

type Change = (asked: Asked) => FitChoice | null;

/** A change of some fields, where it applies. */
const when =
  (applies: (now: FitChoice, tried: FitTried) => boolean, changed: Partial<FitChoice>): Change =>
  ({ now, tried }) =>
    applies(now, tried) ? { ...now, ...changed } : null;

/** The largest number from 1 to `most` that holds, for a property that does not come back once it is gone; else 0. */
export function edge(holds: (value: number) => boolean, most: number): number {
  if (!holds(1)) {
    return 0;
  }
  let low = 1;
  let high = 2;
  while (high <= most && holds(high)) {
    low = high;
    high *= 2;
  }
  if (high > most) {
    if (holds(most)) {
      return most;
    }
    high = most;
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

/** The largest divisor of the batch that fits, else 1; accumulation makes up for it. */
const smallerBatch: Change = ({ now, word }) => {
  let last: FitChoice | null = null;
  for (let batch = now.batch - 1; batch > 0; batch -= 1) {
    if (now.batch % batch === 0) {
      const times = now.batch / batch;
      const stepsPerGeneration = now.stepsPerGeneration * times;
      last = { ...now, batch, accumulation: now.accumulation * times, stepsPerGeneration };
      if (word(last) === 'fits') {
        return last;
      }
    }
  }
  return last;
};

const hasEngine = ({ settings }: FitTried): boolean => isOnline(settings) && settings.generator === 'vllm';

/** The largest divisor of the micro batches whose answers are generated at once that fits, else the smallest. */
const fewerAnswers: Change = ({ now, tried, word }) => {
  if (!isOnline(tried.settings) || hasEngine(tried)) {
    return null;
  }
  const before = now.stepsPerGeneration || now.accumulation;
  const rows = tried.packed ? 1 : now.batch;
  let last: FitChoice | null = null;
  for (let steps = before - 1; steps > 0; steps -= 1) {
    const answers = before % steps === 0 ? groupOf(now.numGenerations, rows * steps * now.world) : 0;
    if (answers) {
      last = { ...now, stepsPerGeneration: steps, numGenerations: answers };
      if (word(last) === 'fits') {
        return last;
      }
    }
  }
  return last;
};

/** The longest length that fits, in steps, else half. */
const shorter: Change = ({ now, tried, word }) => {
  const length = lengthOf(now, tried);
  const steps = Math.floor((length - 1) / LENGTH_STEP);
  if (length <= LEAST_LENGTH || steps < 1) {
    return null;
  }
  const found = edge(step => word({ ...now, length: step * LENGTH_STEP }) === 'fits', steps) * LENGTH_STEP;
  const half = Math.max(LEAST_LENGTH, Math.floor(Math.floor(length / 2) / LENGTH_STEP) * LENGTH_STEP);
  return { ...now, length: found >= LEAST_LENGTH ? found : half };
};

/** Half the rank until it fits, not below 8. */
const lowerRank: Change = ({ now, word }) => {
  if (now.adapter === 'none' || now.rank <= LEAST_RANK) {
    return null;
  }
  let { rank } = now;
  while (rank > LEAST_RANK) {
    rank = Math.max(LEAST_RANK, Math.floor(rank / 2));
    if (word({ ...now, rank }) === 'fits') {
      break;
    }
  }
  return { ...now, rank };
};

/** The least painful first: among combinations of one size the earlier one is proposed. */
const TABLE: readonly (readonly [RemedyName, Change])[] = [
  ['checkpointing', when(now => !now.checkpointing, { checkpointing: true })],
  ['attention', when(now => now.attention !== 'flash_attention_2', { attention: 'flash_attention_2' })],
  ['fused optimizer', when(now => now.optim === 'adamw_torch', { optim: 'adamw_torch_fused' })],
  ['optimizer', when(now => LARGE_STATE.includes(now.optim), { optim: 'adamw_8bit' })],
  ['paged optimizer', when(now => [...LARGE_STATE, ...EIGHT_BIT].includes(now.optim), { optim: 'paged_adamw_8bit' })],
  ['engine sleeps', when((now, tried) => hasEngine(tried) && !now.engineSleeps, { engineSleeps: true })],
  [
    'reference before',
    when((now, tried) => tried.settings.method === 'dpo' && !now.precomputed, { precomputed: true })
  ],
  [
    'bfloat16',
    when((now, tried) => now.weightBytes === 4 && now.adapter !== 'none' && tried.settings.device !== 'cpu', {
      weightBytes: 2,
      precision: 'bfloat16'
    })
  ],
  ['batch', smallerBatch],
  ['answers', fewerAnswers],
  ['quantisation', when(now => now.adapter !== 'none' && now.quantisation === 'none', { quantisation: 'nf4' })],
  ['rank', lowerRank],
  [
    'adapter',
    ({ now, tried }) =>
      now.adapter !== 'none'
        ? null
        : { ...now, adapter: 'lora', weightBytes: tried.settings.autocast ? 2 : now.weightBytes }
  ],
  [
    'no reference',
    when((now, tried) => isOnline(tried.settings) && refers({ ...tried.settings, beta: now.beta }), { beta: 0 })
  ],
  ['length', shorter]
];

/** FSDP over the fewest GPUs that fit, else 8; over as many as there are where DDP has several (memory/further.py). */
const shards: Change = ({ now, word }) => {
  if (!['none', 'ddp'].includes(now.sharding)) {
    return null;
  }
  let last: FitChoice | null = null;
  for (const world of now.world === 1 ? WORLDS : [now.world]) {
    last = { ...now, world, sharding: 'fsdp' };
    if (word(last) === 'fits') {
      break;
    }
  }
  return last;
};

/** Single changes that are not tried together with others. */
const FURTHER: readonly (readonly [RemedyName, Change])[] = [['shards', shards]];

function made(name: RemedyName, choice: FitChoice, before: Breakdown, after: Breakdown, room: number | null): Remedy {
  const shown = shownBytes(after);
  return {
    name,
    choice,
    saved: shownBytes(before) - shown,
    shown,
    live: after.live,
    reserved: after.reserved.high,
    word: room === null ? null : verdictOf(after, room)
  };
}

/** The choice that a change makes; null where it does not apply, or the closed form does not know what it leads to. */
function changed(change: Change, asked: Asked, estimate: Estimator): FitChoice | null {
  try {
    const choice = change(asked);
    if (choice !== null) {
      estimate(choice);
    }
    return choice;
  } catch {
    return null;
  }
}

const wordOf =
  (estimate: Estimator, room: number | null) =>
  (choice: FitChoice): FitWord | null =>
    room === null ? null : verdictOf(estimate(choice), room);

/** Every change of the table that saves something, largest saving first; `room` is what the card has free, in bytes. */
export function remediesOf(
  now: FitChoice,
  tried: FitTried,
  estimate: Estimator,
  room: number | null
): readonly Remedy[] {
  const before = estimate(now);
  const asked = { now, tried, word: wordOf(estimate, room) };
  const isGpu = tried.settings.device !== 'cpu';
  const found = [...TABLE, ...(isGpu ? FURTHER : [])].flatMap(([name, change]) => {
    const choice = changed(change, asked, estimate);
    return choice === null ? [] : [made(name, choice, before, estimate(choice), room)];
  });
  const least = Math.max(1, Math.round(LEAST_SHARE * shownBytes(before)));
  return found.filter(remedy => remedy.saved >= least).sort((a, b) => b.saved - a.saved);
}

/** All ways to take `size` of the numbers below `count`, in order. */
function* combinations(count: number, size: number, from = 0): Generator<readonly number[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let first = from; first <= count - size; first += 1) {
    for (const rest of combinations(count, size - 1, first + 1)) {
      yield [first, ...rest];
    }
  }
}

/** The fewest changes that fit together, each on the run that the one before has left; null where nothing is enough. */
export function togetherOf(now: FitChoice, tried: FitTried, estimate: Estimator, room: number): Together | null {
  const word = wordOf(estimate, room);
  const applicable = TABLE.filter(([, change]) => changed(change, { now, tried, word }, estimate) !== null);
  const step = (choice: FitChoice | null, change: Change): FitChoice | null =>
    choice === null ? null : changed(change, { now: choice, tried, word }, estimate);
  const all = applicable.reduce((choice, [, change]) => step(choice, change) ?? choice, now);
  if (word(all) !== 'fits') {
    return null;
  }
  for (let size = 2; size <= MOST_TOGETHER; size += 1) {
    for (const indices of combinations(applicable.length, size)) {
      const chosen = indices.flatMap(index => applicable.slice(index, index + 1));
      const choice = chosen.reduce<FitChoice | null>((one, [, change]) => step(one, change), now);
      if (choice !== null && word(choice) === 'fits') {
        const names = chosen.map(([name]) => name);
        const [name] = names.slice(-1);
        return { names, remedy: made(name ?? 'checkpointing', choice, estimate(now), estimate(choice), room) };
      }
    }
  }
  return null;
}
