/** How TRL batches what it generates: the twin of workbench/memory/online.py. */
import type { Settings } from './shapes';
import { tokensOf } from './shapes';

/** Weight of the reference's log probabilities where nobody said. */
const BETA: Readonly<Record<string, number>> = { grpo: 0, rloo: 0.05 };

/** A generation batch. */
export interface Online {
  /** Answers that are generated at once: those of several micro batches. */
  readonly rows: number;
  readonly prompt: number;
  readonly answer: number;
  /** Whether the log probabilities of the model that answered are computed apart. */
  readonly scoresPolicy: boolean;
  readonly scoresReference: boolean;
  /** Whether answers are generated while gradients of earlier micro batches are held. */
  readonly between: boolean;
}

const LARGEST_GROUP = 8;
const SMALLEST_GROUP = 2;

/** Answers a prompt where so many are generated at once, dividing them; 0 where no number does. */
export function groupOf(said: number, atOnce: number): number {
  for (let size = said || LARGEST_GROUP; size >= SMALLEST_GROUP; size -= 1) {
    if (atOnce % size === 0) {
      return size;
    }
  }
  return 0;
}

/** Whether the method generates its answers. */
export function isOnline({ method }: Settings): boolean {
  return method in BETA;
}

export function onlineOf(settings: Settings): Online {
  const { accumulation, beta, length, method, prompt: said = 0 } = settings;
  const steps = settings.steps_per_generation || accumulation;
  const prompt = said ? Math.min(said, length - 1) : Math.floor(length / 2);
  const every = steps * (settings.num_iterations ?? 1);
  const weight = beta ?? BETA[method] ?? 0;
  return {
    rows: settings.rows * steps,
    prompt: Math.max(1, prompt),
    answer: Math.max(1, length - prompt),
    scoresPolicy: method === 'rloo' || settings.generator === 'vllm' || accumulation % every !== 0,
    scoresReference: weight !== 0,
    between: every % accumulation !== 0
  };
}

/** Whether training asks a reference model, which an adapter's own model can be. */
export function refers(settings: Settings): boolean {
  if (isOnline(settings)) {
    return onlineOf(settings).scoresReference;
  }
  return settings.method === 'kto' || (settings.method === 'dpo' && !settings.precomputed);
}

/** Positions that the loss scores; preference methods score the prompt's too. */
export function positionsOf(settings: Settings): number {
  if (isOnline(settings)) {
    return settings.rows * onlineOf(settings).answer;
  }
  return settings.method === 'sft' ? settings.scored : tokensOf(settings);
}
