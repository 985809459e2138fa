/** Ways through a moment between steps: the twin of workbench/memory/ways.py. */
import { cacheBytes, lastCopy, layerMoment, tablesBytes, typesOf, weightCopies, widestRow } from './inference';
import type { Pass } from './inference';
import { TOKEN_TILE, VOCABULARY_TILE } from './lossParts';
import { isOnline, onlineOf } from './online';
import type { Online } from './online';
import { ODDS, restBytes, rounded, sequencesOf, wholeLogits } from './shapes';
import type { Step } from './step';

/** What one way through a moment needs, in bytes. */
export interface Need {
  readonly cache: number;
  readonly copies: number;
  readonly temporaries: number;
  readonly logits: number;
  readonly where: string;
}

const totalOf = ({ cache, copies, logits, temporaries }: Need): number => cache + copies + temporaries + logits;

const highestOf = (ways: readonly [Need, ...Need[]]): Need =>
  ways.reduce((best, other) => (totalOf(other) > totalOf(best) ? other : best));

/** The highest of reading the prompts, adding the last token, and choosing it. */
export function answers(step: Step, first: Pass, tokens: number, sampled: boolean): Need {
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
export function score(step: Step, online: Online): Need {
  const { autocast, length, masked, rows } = step.settings;
  const isOn = online.scoresPolicy || step.full;
  const run = { rows, tokens: length, keys: length, autocast, cached: false, masked, adapted: isOn, training: true };
  return scoredPass(step, run, rows * online.answer, 32 * online.rows * length + 24 * rows * length);
}

/** A pass whose scored positions go through TRL's fused head. */
function scoredPass(step: Step, run: Pass, positions: number, ids: number): Need {
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

/** A batch of an evaluation at the longest row: the loss alone, as nobody asks for predictions. */
export function evaluated(step: Step): Need {
  const { settings, shapes } = step;
  const rows = settings.per_device_eval_batch_size ?? 0;
  if (isOnline(settings)) {
    return evaluatedOnline(step, rows);
  }
  const { autocast, masked, packed_row: packed = 0 } = settings;
  const sequences = packed ? 1 : Math.floor((rows * sequencesOf(settings)) / settings.rows);
  const length = packed ? rows * packed : settings.length;
  const run = { rows: sequences, tokens: length, keys: length, autocast, masked, ...EVALUATING };
  const read = sequences * length;
  const ids = 48 * read;
  if (settings.method === 'reward') {
    const copies = weightCopies(shapes, settings, run) - lastCopy(shapes, settings, run);
    const layer = layerMoment(shapes, settings, run) + tablesBytes(shapes, settings, run, 1);
    return { cache: 0, copies, temporaries: layer + ids, logits: 0, where: 'in the last layer' };
  }
  if (wholeLogits(settings)) {
    return allLogits(step, run, ids);
  }
  const share = settings.method === 'sft' ? settings.scored / (settings.rows * settings.length) : 1;
  return scoredPass(step, run, Math.max(1, rounded(share * read)), ids);
}

const EVALUATING = { cached: false, adapted: true, training: false };

/** Answers of a batch, their scores, and the loss, which scores them once more. */
function evaluatedOnline(step: Step, rows: number): Need {
  const { settings } = step;
  const { autocast, length, masked } = settings;
  const online = onlineOf({ ...settings, rows, steps_per_generation: 1 });
  const run = { rows, tokens: length, keys: length, autocast, masked, ...EVALUATING };
  const scores = scoredPass(step, run, rows * online.answer, 56 * rows * length);
  if (settings.generator === 'vllm') {
    return scores;
  }
  const casts = step.full && autocast;
  const given = { rows, tokens: online.prompt, keys: online.prompt, autocast: casts, masked };
  const first = { ...given, ...EVALUATING, cached: true };
  return highestOf([answers(step, first, online.answer, true), scores]);
}

/** A pass that makes all logits: for transformers' own loss, or for the odds of chosen and rejected answers. */
function allLogits(step: Step, run: Pass, ids: number): Need {
  const { settings, shapes } = step;
  const { product, stream } = typesOf(shapes, settings, run.autocast);
  const copies = weightCopies(shapes, settings, run);
  const read = run.rows * run.tokens;
  const odds = 2 * (run.autocast ? 4 : product) * shapes.vocab * read;
  const lost = (product + 8) * shapes.vocab * read;
  const layer = layerMoment(shapes, settings, run) + tablesBytes(shapes, settings, run, 1) + ids;
  const early = copies - lastCopy(shapes, settings, run);
  const hidden = stream * shapes.hidden * read + ids;
  return highestOf([
    { cache: 0, copies: early, temporaries: layer, logits: 0, where: 'in the last layer' },
    ODDS.includes(settings.method)
      ? { cache: 0, copies: 0, temporaries: ids, logits: odds, where: 'behind the head' }
      : { cache: 0, copies: copies + headCopy(step, run), temporaries: hidden, logits: lost, where: 'at the head' }
  ]);
}
