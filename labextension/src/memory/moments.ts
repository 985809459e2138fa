/** Moments between steps: the twin of workbench/memory/moments.py. */
import { cacheBytes, lastCopy, layerMoment, tablesBytes, typesOf, weightCopies, widestRow } from './inference';
import type { Pass } from './inference';
import { TOKEN_TILE, VOCABULARY_TILE } from './lossParts';
import { isOnline, onlineOf } from './online';
import type { Online } from './online';
import type { Part } from './shapes';
import { restBytes } from './shapes';
import type { Step } from './step';
import { part } from './step';

/** Parts that are live in every moment of training. */
export const STAYING = ['weights', 'adapter', 'reference model', 'optimizer', 'workspace', 'vllm engine'];

export interface Moment {
  readonly name: string;
  /** Parts of the step that are live in it, beside `STAYING`. */
  readonly held: readonly string[];
  /** What it needs for itself. */
  readonly parts: readonly Part[];
}

/** What one way through a moment needs, in bytes. */
interface Need {
  readonly cache: number;
  readonly copies: number;
  readonly temporaries: number;
  readonly logits: number;
  readonly where: string;
}

const totalOf = ({ cache, copies, logits, temporaries }: Need): number => cache + copies + temporaries + logits;

const highestOf = (ways: readonly [Need, ...Need[]]): Need =>
  ways.reduce((best, other) => (totalOf(other) > totalOf(best) ? other : best));

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
  if (settings.samples) {
    const { sample_prompt: tokens = 64, sample_tokens: answer = 64 } = settings;
    const run = { ...pass, rows: 1, tokens, keys: tokens, masked: false, training: false };
    found.push({ name: 'sample', held: [], parts: partsOf('sample', answers(step, run, answer, false)) });
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

/** The highest of reading the prompts, adding the last token, and choosing it. */
function answers(step: Step, first: Pass, tokens: number, sampled: boolean): Need {
  const { settings, shapes } = step;
  const last = { ...first, tokens: 1, keys: first.tokens + tokens - 1 };
  const copies = weightCopies(shapes, settings, first);
  const early = copies - lastCopy(shapes, settings, first);
  const head = copies + headCopy(step, first);
  const row = first.rows * shapes.vocab;
  const before = (sampled ? 8 : 4) * row;
  const { product } = typesOf(shapes, settings, first.autocast);
  const made = product * row + (first.autocast ? 4 * row : 0);
  const ids = 40 * first.rows * last.keys;
  const read = first.rows * first.tokens;
  const tables = tablesBytes(shapes, settings, first, first.rows) + 40 * read;
  const cache = cacheBytes(shapes, settings, first);
  const prompts = layerMoment(shapes, settings, first) + tables;
  const stream = restBytes(settings) * shapes.hidden * read;
  const ways: [Need, ...Need[]] = [
    { cache, copies: early, temporaries: prompts, logits: 0, where: 'while it reads the prompts' },
    { cache, copies: head, temporaries: stream + tables, logits: made, where: 'at the head behind the prompts' }
  ];
  if (tokens > 1) {
    const cached = cacheBytes(shapes, settings, last);
    const layer = Math.max(widestRow(shapes, settings, last), layerMoment(shapes, settings, last));
    const chosen = (product + (sampled ? 16 : 8)) * row;
    ways.push(
      { cache: cached, copies: early, temporaries: layer + ids, logits: before, where: 'at the last token' },
      { cache: cached, copies: head, temporaries: ids, logits: before + made, where: 'at the head of the last token' },
      { cache: cached, copies: 0, temporaries: ids, logits: chosen, where: 'while it chooses the last token' }
    );
  }
  return highestOf(ways);
}

/** Bytes of autocast's copy of the whole output head. */
function headCopy({ full, headElements, settings }: Step, run: Pass): number {
  return run.autocast && full && settings.weight_bytes === 4 ? 2 * headElements : 0;
}

/** Log probabilities of a micro batch's answers, by TRL's fused head. */
function score(step: Step, online: Online): Need {
  const { autocast, length, masked, rows } = step.settings;
  const isOn = online.scoresPolicy || step.full;
  const run = { rows, tokens: length, keys: length, autocast, cached: false, masked, adapted: isOn, training: true };
  return scored(step, run, rows * online.answer, 32 * online.rows * length + 24 * rows * length);
}

/** A pass whose scored positions go through TRL's fused head. */
function scored(step: Step, run: Pass, positions: number, ids: number): Need {
  const { settings, shapes } = step;
  const { product, stream } = typesOf(shapes, settings, run.autocast);
  const copies = weightCopies(shapes, settings, run);
  const early = copies - lastCopy(shapes, settings, run);
  const rows = Math.min(positions, TOKEN_TILE);
  const tile = rows * VOCABULARY_TILE * product;
  const columns = Math.min(shapes.vocab, VOCABULARY_TILE);
  const casts = product === stream ? 0 : product * shapes.hidden * (columns + rows);
  const layer = layerMoment(shapes, settings, run) + tablesBytes(shapes, settings, run, 1) + ids;
  const hidden = stream * shapes.hidden * (run.rows * run.tokens + positions);
  return highestOf([
    { cache: 0, copies: early, temporaries: layer, logits: 0, where: 'in the last layer' },
    { cache: 0, copies, temporaries: hidden + ids, logits: tile + casts, where: 'at the head' }
  ]);
}
