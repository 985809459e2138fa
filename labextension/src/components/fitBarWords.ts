/** Words of the fit bar: kinds, moments, verdicts, remedies. */
import type { FitKind, FitWord } from '../memory/fitModel';
import type { Remedy, RemedyName } from '../memory/remedies';
import { formatNumber, formatShare } from './component';
import type { IconName, Trans } from './component';

const GIB = 2 ** 30;
const MIB = 2 ** 20;

/** The unit of a card: GiB, or MiB for what is smaller than one. */
export interface Unit {
  readonly name: 'GiB' | 'MiB';
  readonly bytes: number;
  /** Whose memory it is. */
  readonly of: 'gpu' | 'host';
  /** A bare number; the unit stands beside it. */
  text(bytes: number, digits?: number): string;
}

export function unitOf(largest: number, of: 'gpu' | 'host' = 'gpu'): Unit {
  const isLarge = largest >= GIB;
  const bytes = isLarge ? GIB : MIB;
  return {
    name: isLarge ? 'GiB' : 'MiB',
    bytes,
    of,
    text: (size, digits = isLarge ? 2 : 1) => formatNumber(size / bytes, digits)
  };
}

/** `22.3 GiB`, or MiB below a tenth of one. */
export function size(bytes: number): string {
  return Math.abs(bytes) >= GIB / 10 ? `${formatNumber(bytes / GIB, 1)} GiB` : `${formatNumber(bytes / MIB, 1)} MiB`;
}

export function kindWord(kind: FitKind, trans: Trans, of: 'gpu' | 'host' = 'gpu'): string {
  const words: Readonly<Record<FitKind, string>> = {
    weights: trans.__('Weights'),
    adapter: trans.__('Adapter'),
    gradients: trans.__('Gradients'),
    optimizer: trans.__('Optimizer'),
    activations: trans.__('Activations'),
    logits: trans.__('Logits'),
    'reference model': trans.__('Reference model'),
    generation: trans.__('Generation'),
    communication: trans.__('Communication'),
    other: trans.__('Other'),
    allocator: trans.__('Allocator spare'),
    context: of === 'host' ? trans.__('Interpreter, libraries') : trans.__('CUDA context')
  };
  return words[kind];
}

/** A moment of the step; names that are not known are shown as they are. */
export function momentWord(name: string, trans: Trans): string {
  const words: Readonly<Record<string, string>> = {
    loading: trans.__('loading'),
    sample: trans.__('sample'),
    evaluation: trans.__('evaluation'),
    forward: trans.__('forward'),
    generate: trans.__('generate'),
    score: trans.__('score'),
    'loss backward': trans.__('loss'),
    'first layer backward': trans.__('backward'),
    'backward end': trans.__('end of backward'),
    'optimizer step': trans.__('optimizer'),
    'optimiser step': trans.__('optimizer')
  };
  return Object.hasOwn(words, name) ? (words[name] ?? name) : name;
}

export const WORD_ICON: Readonly<Record<FitWord, IconName>> = { fits: 'check', tight: 'warning', no: 'cross' };
export const WORD_CLASS: Readonly<Record<FitWord, string>> = { fits: 'wb-ok', tight: 'wb-warn', no: 'wb-bad' };

export function verdictWord(word: FitWord, trans: Trans): string {
  return { fits: trans.__('Fits'), tight: trans.__('Tight'), no: trans.__('Out of memory') }[word];
}

/** One word, behind a figure in a list. */
export function shortWord(word: FitWord, trans: Trans): string {
  return { fits: trans.__('fits'), tight: trans.__('tight'), no: trans.__('no') }[word];
}

/** What a remedy does. */
export function remedyWord(remedy: Remedy, trans: Trans): string {
  const { choice } = remedy;
  const words: Readonly<Record<RemedyName, () => string>> = {
    checkpointing: () => trans.__('Gradient checkpointing'),
    quantisation: () => trans.__('4-bit weights'),
    batch: () => trans.__('Batch %1, accumulate %2', formatNumber(choice.batch), formatNumber(choice.accumulation)),
    length: () => trans.__('Length %1', formatNumber(choice.length ?? 0)),
    rank: () => trans.__('Rank %1', formatNumber(choice.rank)),
    optimizer: () => trans.__('8-bit optimizer'),
    'fused optimizer': () => trans.__('Fused optimizer'),
    'paged optimizer': () => trans.__('Paged 8-bit optimizer'),
    bfloat16: () => trans.__('Frozen weights in bfloat16'),
    adapter: () => trans.__('LoRA instead of all weights'),
    attention: () => trans.__('Flash attention'),
    answers: () =>
      trans.__('%1 answers at once', formatNumber(choice.batch * (choice.stepsPerGeneration || choice.accumulation))),
    'engine sleeps': () => trans.__('vLLM sleeps while TRL trains'),
    'reference before': () => trans.__('Reference log probabilities computed before'),
    'no reference': () => trans.__('No reference model'),
    shards: () => trans.__('FSDP over %1 GPUs', formatNumber(choice.world))
  };
  return words[remedy.name]();
}

/** What a remedy costs; `cut` is the share of rows that a shorter length cuts, null where nobody knows. */
export function costWord(remedy: Remedy, cut: number | null, trans: Trans): string {
  const words: Readonly<Record<RemedyName, () => string>> = {
    checkpointing: () => trans.__('up to a third slower'),
    quantisation: () => trans.__('slower, some precision lost'),
    batch: () => trans.__('same effective batch'),
    length: () => (cut === null ? trans.__('cuts longer rows') : trans.__('cuts %1 of rows', formatShare(cut, 1))),
    rank: () => trans.__('a smaller adapter can learn less'),
    optimizer: () => trans.__('moments in 8 bits'),
    'fused optimizer': () => trans.__('the same updates'),
    'paged optimizer': () => trans.__('moments move to host memory under pressure'),
    bfloat16: () => trans.__('rounds the frozen weights'),
    adapter: () => trans.__('only the adapter trains'),
    attention: () => trans.__('same result, needs flash-attn'),
    answers: () => trans.__('smaller batches of answers, groups may get smaller'),
    'engine sleeps': () => trans.__('its weights move back and forth'),
    'reference before': () => trans.__('one pass over the data before'),
    'no reference': () => trans.__('nothing holds the model near its start'),
    shards: () => trans.__('each has a batch of its own')
  };
  return words[remedy.name]();
}
