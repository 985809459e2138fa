/** Parts of the closed form around the output head: the twin of workbench/memory/loss_parts.py. */
import { applied } from './fused';
import { headGradientSum, kernelLossPart } from './fusedLoss';
import { ownBytes, ownOf } from './reached';
import type { Part } from './shapes';
import { positionsOf } from './online';
import { computeBytes, ODDS, restBytes, wholeLogits } from './shapes';
import type { Step } from './step';
import { part } from './step';

export const TOKEN_TILE = 4096;
export const VOCABULARY_TILE = 32768;

export function lossPart(step: Step): Part {
  const { settings, shapes, tokens } = step;
  const w = restBytes(settings);
  if (settings.method === 'reward') {
    const source = 'one score a row from the last hidden states';
    return part('loss', 2 * w * shapes.hidden * tokens, '2 w H tokens', { tokens }, source);
  }
  if (ODDS.includes(settings.method)) {
    return oddsPart(step, w, computeBytes(settings));
  }
  const fused = applied(shapes, settings);
  if (fused.loss) {
    return kernelLossPart(step, fused.loss, fused.norms);
  }
  if (!wholeLogits(settings)) {
    return fusedPart(step, w, computeBytes(settings));
  }
  const copy = computeBytes(settings) !== w ? 2 * step.headElements : 0;
  return part(
    'loss',
    12 * shapes.vocab * tokens + copy + w * shapes.hidden * tokens,
    '12 V tokens + w H tokens' + (copy ? ' + 2 V H' : ''),
    { vocab: shapes.vocab, tokens },
    'log_softmax in float32, its gradient, and the gradient of the logits'
  );
}

/** Odds of chosen and rejected answers, and the likelihood of the chosen: TRL makes all logits for both. */
function oddsPart({ full, headElements, settings, shapes, tokens }: Step, w: number, c: number): Part {
  const given = settings.autocast ? 4 : c;
  const halves = settings.device === 'cuda' ? 5 : 9;
  const copied = full && c !== w ? 2 * headElements + c * shapes.hidden * tokens : 0;
  return part(
    'loss',
    Math.floor((halves * given * shapes.vocab * tokens) / 2) + copied,
    `${halves / 2} x ${given} V tokens` + (copied ? ' + 2 V H + c H tokens' : ''),
    { vocab: shapes.vocab, tokens },
    'gradients of the logits from both terms of the loss'
  );
}

function fusedPart({ settings, shapes }: Step, w: number, c: number): Part {
  const scored = positionsOf(settings);
  const rows = Math.min(scored, TOKEN_TILE);
  const columns = Math.min(shapes.vocab, VOCABULARY_TILE);
  const tile = rows * VOCABULARY_TILE * c;
  const hidden = (4 + w + (w !== 4 ? w : 0)) * shapes.hidden * scored;
  const second = Math.max(0, Math.min(shapes.vocab - VOCABULARY_TILE, VOCABULARY_TILE));
  const casts = c !== w ? c * shapes.hidden * (columns + second + rows) : 0;
  const folded = settings.device === 'cpu' ? 29 * rows * columns : 0;
  const formula =
    'min(scored, 4096) x 32768 x c + H scored x (4 + w, and w for a cast)' +
    (casts ? ' + c H tiles' : '') +
    (folded ? ' + 29 min(scored, 4096) V' : '');
  const source = "TRL's fused head makes logits in tiles and never all of them";
  return part('loss', tile + hidden + casts + folded, formula, { scored, tile, hidden, casts, folded }, source);
}

/** Bytes of an element of a trained head or embedding; 0 where it is frozen. */
export function endBytes({ full, settings }: Step, name: string): number {
  const own = ownOf(settings).find(each => each.name === name);
  return full ? settings.weight_bytes : own ? ownBytes(own, settings) : 0;
}

export function headGradientParts(step: Step): readonly Part[] {
  const { settings, shapes } = step;
  const w = endBytes(step, 'head');
  const elements = w && settings.method !== 'reward' ? step.headElements : 0;
  const kernel = applied(shapes, settings).loss;
  const tiles = !wholeLogits(settings) ? (4 + (w !== 4 ? w : 0)) * elements : 0;
  const summed = kernel && elements ? headGradientSum(step, kernel) : tiles;
  return [
    part(
      'head gradient sum',
      summed,
      'V H x (4, and w for the cast)',
      { elements },
      'the fused head sums its weight gradient in float32'
    ),
    part('head gradient', w * elements, 'V H w', { elements }, 'gradient of the output head'),
    embeddingGradientPart(step)
  ];
}

function embeddingGradientPart(step: Step): Part {
  const { settings, shapes } = step;
  const rows = ownOf(settings).some(own => own.name === 'tokens');
  const embedding = endBytes(step, 'embedding');
  const twice = !wholeLogits(settings) && settings.device === 'cuda' ? 1 : 2;
  const tied = step.full && settings.method !== 'reward' && shapes.tied;
  const times = (tied ? twice : rows ? 1 : 0) + (embedding && settings.accumulation > 1 ? 1 : 0);
  return part(
    'tied embedding gradient',
    times * step.headElements * (rows ? restBytes(settings) : embedding),
    `${times} V H w`,
    { elements: step.headElements },
    'a tied embedding gets a dense gradient from the input side too'
  );
}
