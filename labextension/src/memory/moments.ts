/** Moments between steps: the twin of workbench/memory/moments.py. */
import { isOnline, onlineOf } from './online';
import type { Part } from './shapes';
import type { Step } from './step';
import { part } from './step';
import { answers, evaluated, score } from './ways';
import type { Need } from './ways';

/** Parts that are live in every moment of training. */
export const STAYING = ['weights', 'adapter', 'reference model', 'optimizer', 'workspace', 'vllm engine'];

export interface Moment {
  readonly name: string;
  /** Parts of the step that are live in it, beside `STAYING`. */
  readonly held: readonly string[];
  /** What it needs for itself. */
  readonly parts: readonly Part[];
}

/** The moments that the settings ask for, in the order of training. */
export function furtherMoments(step: Step): readonly Moment[] {
  const { settings } = step;
  const found: Moment[] = [];
  const autocast = step.full && settings.autocast;
  const pass = { autocast, cached: true, adapted: true };
  if (isOnline(settings)) {
    const online = onlineOf(settings);
    const held = online.between ? ['gradients'] : [];
    const { masked } = settings;
    if (settings.generator !== 'vllm') {
      const run = { ...pass, rows: online.rows, tokens: online.prompt, keys: online.prompt, masked, training: true };
      found.push({ name: 'generate', held, parts: partsOf('generate', answers(step, run, online.answer, true)) });
    } else {
      found.push({ name: 'generate', held: [...held, 'vllm engine awake'], parts: [] });
    }
    if (online.scoresPolicy || online.scoresReference) {
      found.push({ name: 'score', held, parts: partsOf('score', score(step, online)) });
    }
  }
  if (settings.samples && settings.method !== 'reward') {
    const { sample_prompt: tokens = 64, sample_tokens: answer = 64 } = settings;
    const run = { ...pass, rows: 1, tokens, keys: tokens, masked: false, training: false };
    found.push({ name: 'sample', held: [], parts: partsOf('sample', answers(step, run, answer, false)) });
  }
  if (settings.per_device_eval_batch_size) {
    found.push({ name: 'evaluation', held: [], parts: partsOf('evaluation', evaluated(step)) });
  }
  return found;
}

/** vLLM's engine in the same process. */
export function engineParts({ settings }: Step): readonly Part[] {
  const { vllm_bytes: bytes = 0, vllm_sleeps: sleeps = false } = settings;
  if (!isOnline(settings) || settings.generator !== 'vllm') {
    return [];
  }
  const source = "TRL's vllm_gpu_memory_utilization, a share of the card" + (sleeps ? '; asleep while TRL trains' : '');
  return [part(sleeps ? 'vllm engine awake' : 'vllm engine', bytes, 'vllm_bytes', { bytes }, source)];
}

function partsOf(name: string, need: Need): readonly Part[] {
  const words = [
    ['cache', '2 x kv features x rows x tokens x layers', 'keys and values of every token so far'],
    ['copies', '2 x float32 weights that train', 'autocast keeps its bfloat16 copies until the pass ends'],
    ['temporaries', 'streams H + the widest moment of a layer, x tokens', 'nothing is kept for backward'],
    ['logits', "the output head's own", "TRL's fused head where it scores, else the last token of a row"]
  ] as const;
  return words
    .filter(([kind]) => need[kind])
    .map(([kind, formula, source]) =>
      part(`${name} ${kind}`, need[kind], formula, {}, `${source}; highest ${need.where}`)
    );
}
