/**
 * The closed form for sliders: the twin of workbench/memory/analytic.py, equal to the byte.
 *
 *     estimate(shapes, { ...settings, rank: 32 }).live
 *
 * tests/memory/test_memory_twin.py asks both on thousands of random configurations.
 */
import { byKind } from './kinds';
import type { Coefficients } from './saved';
import { adapterParameters, coefficients, computeBytes, layerBytes, targetsOf, trainsAll } from './saved';
import type { Estimate, Interval, Part, Peak, Settings, Shapes } from './shapes';
import { rounded, UnknownError } from './shapes';

export type { Estimate, Interval, Part, Peak, Settings, Shapes } from './shapes';
export { UnknownError } from './shapes';
export { KINDS, kindOf } from './kinds';
export type { Kind } from './kinds';

const TOKEN_TILE = 4096;
const VOCABULARY_TILE = 32768;
const GIB = 2 ** 30;
const CUDA_CONTEXT: Interval = [rounded(0.3 * GIB), rounded(0.6 * GIB)];
const STATE_BYTES: Readonly<Record<string, number>> = { adamw_torch: 2, adamw_torch_fused: 2, sgd: 0 };
const EIGHT_BIT_STATE_BYTES = 2 * (1 + 4 / 256);
export const EIGHT_BIT: readonly string[] = ['adamw_8bit', 'adamw_bnb_8bit'];

/** Everything the parts are computed from; sizes in bytes. */
interface Step {
  readonly shapes: Shapes;
  readonly settings: Settings;
  readonly saved: Coefficients;
  readonly tokens: number;
  readonly full: boolean;
  readonly trained: number;
  readonly trainedBytes: number;
  readonly gradients: number;
  readonly headElements: number;
}

/**
 * Memory of one training step after the first. Throws `UnknownError` for an optimizer or target it does not know.
 * `saved` takes the place of what the closed form says a step saves.
 */
export function estimate(shapes: Shapes, settings: Settings, saved = coefficients(shapes, settings)): Estimate {
  const step = stepOf(shapes, settings, saved);
  const parts = [...staticParts(step), ...movingParts(step)];
  const peaks = peaksOf(step, new Map(parts.map(part => [part.name, part.bytes])));
  const peak = peaks.reduce((best, other) => (other.bytes > best.bytes ? other : best));
  const cuda = settings.device === 'cuda';
  const [low, high] = cuda ? allocatorFactors(step) : [1, 1];
  return {
    parts,
    peaks,
    peak,
    live: peak.bytes,
    reserved: [rounded(peak.bytes * low), rounded(peak.bytes * high)],
    context: cuda ? CUDA_CONTEXT : [0, 0],
    byKind: byKind(peak.parts)
  };
}

function stepOf(shapes: Shapes, settings: Settings, saved: Coefficients): Step {
  const full = trainsAll(settings);
  const trained = full ? shapes.total : adapterParameters(shapes, settings);
  const trainedBytes = full ? settings.weight_bytes : 4;
  return {
    shapes,
    settings,
    saved,
    tokens: settings.rows * settings.length,
    full,
    trained,
    trainedBytes,
    gradients: trained * trainedBytes,
    headElements: shapes.vocab * shapes.hidden
  };
}

function part(
  name: string,
  bytes: number,
  formula: string,
  inputs: Readonly<Record<string, number>>,
  source: string
): Part {
  return { name, bytes, formula, inputs, source };
}

function staticParts(step: Step): readonly Part[] {
  const { settings, shapes, tokens, trained, trainedBytes } = step;
  const w = settings.weight_bytes;
  const adapter = adapterParameters(shapes, settings);
  const mask = settings.masked && settings.attention !== 'flash_attention_2' ? settings.rows * settings.length ** 2 : 0;
  return [
    part('weights', shapes.total * w, 'parameters x bytes', { parameters: shapes.total, bytes: w }, 'config.json'),
    part(
      'adapter',
      adapter * 4,
      'layers x r x sum(in + out) x 4',
      { parameters: adapter, r: settings.rank },
      'PEFT keeps LoRA matrices in float32'
    ),
    part(
      'optimizer',
      stateBytes(step),
      'trained x bytes of state',
      { trained, bytes: trainedBytes },
      `optim=${settings.optim}`
    ),
    part(
      'gradients',
      step.gradients,
      'trained x bytes',
      { trained, bytes: trainedBytes },
      'torch keeps one gradient a trained parameter'
    ),
    part(
      'batch',
      (24 + 2 * w * shapes.head_dim) * tokens + mask,
      'tokens x (3 x 8 + 2 head_dim w) + rows x length^2 where masked',
      { tokens, mask },
      'ids, labels and mask in int64, rotary tables, one boolean attention mask'
    )
  ];
}

function movingParts(step: Step): readonly Part[] {
  const { saved, settings, shapes, tokens } = step;
  const { checkpointing } = settings;
  const layer = layerBytes(saved, settings);
  const copies = rounded(saved.constant);
  return [
    activations(step, layer),
    part(
      'tail',
      rounded(saved.tailToken * tokens),
      'bytes a token x tokens',
      { bytes: saved.tailToken, tokens },
      'the last norm and the input of the head'
    ),
    part(
      'autocast copies',
      checkpointing ? Math.floor(copies / shapes.layers) : copies,
      '2 x float32 weights of matrix products',
      { bytes: copies },
      'autocast keeps bfloat16 copies for backward; with checkpointing those of one layer'
    ),
    part(
      'recomputed layer',
      checkpointing ? layer : 0,
      'what one layer saves',
      { layer },
      'gradient checkpointing runs each layer again'
    ),
    part(
      'layer backward',
      3 * computeBytes(settings) * shapes.intermediate * tokens,
      '3 c I tokens',
      { intermediate: shapes.intermediate, tokens },
      'gradients of gate, up and their product'
    ),
    settings.loss === 'logits' ? logitsLoss(step) : fusedLoss(step),
    ...headGradients(step),
    optimizerTemporaries(step),
    keptOutputs(step)
  ];
}

function activations(step: Step, layer: number): Part {
  const { saved, settings, shapes, tokens } = step;
  const { layers } = shapes;
  const terms = Object.fromEntries(saved.terms.map(term => [term.name, term.bytes]));
  const inputs = { layers, tokens, pair: saved.layerPair, 'bytes a token': saved.layerToken, ...terms };
  if (settings.checkpointing) {
    return part(
      'activations',
      layers * settings.weight_bytes * shapes.hidden * tokens,
      'layers x hidden x tokens x w',
      inputs,
      'gradient checkpointing keeps the input of every layer'
    );
  }
  const source = saved.terms.map(term => `${term.name}: ${term.formula}`).join('; ');
  return part('activations', layers * layer, 'layers x (bytes a token x tokens + pairs)', inputs, source);
}

function logitsLoss(step: Step): Part {
  const { settings, shapes, tokens } = step;
  const copy = computeBytes(settings) !== settings.weight_bytes ? 2 * step.headElements : 0;
  return part(
    'loss',
    12 * shapes.vocab * tokens + copy,
    '12 V tokens' + (copy ? ' + 2 V H' : ''),
    { vocab: shapes.vocab, tokens },
    'log_softmax in float32, its gradient, and the gradient of the logits'
  );
}

function fusedLoss(step: Step): Part {
  const { settings, shapes } = step;
  const { scored, weight_bytes: w } = settings;
  const c = computeBytes(settings);
  const rows = Math.min(scored, TOKEN_TILE);
  const columns = Math.min(shapes.vocab, VOCABULARY_TILE);
  const tile = rows * VOCABULARY_TILE * c;
  const hidden = (4 + w + (w !== 4 ? w : 0)) * shapes.hidden * scored;
  const casts = c !== w ? c * shapes.hidden * (columns + rows) : 0;
  const folded = settings.device === 'cpu' ? 29 * rows * columns : 0;
  const formula =
    'min(scored, 4096) x 32768 x c + H scored x (4 + w, and w for a cast)' +
    (casts ? ' + c H tiles' : '') +
    (folded ? ' + 29 min(scored, 4096) V' : '');
  const source = "TRL's fused head makes logits in tiles and never all of them";
  return part('loss', tile + hidden + casts + folded, formula, { scored, tile, hidden, casts, folded }, source);
}

function headGradients(step: Step): readonly Part[] {
  const w = step.settings.weight_bytes;
  const elements = step.full ? step.headElements : 0;
  const summed = step.settings.loss === 'fused' ? (4 + (w !== 4 ? w : 0)) * elements : 0;
  return [
    part(
      'head gradient sum',
      summed,
      'V H x (4, and w for the cast)',
      { elements },
      'the fused head sums its weight gradient in float32'
    ),
    part('head gradient', w * elements, 'V H w', { elements }, 'gradient of the output head'),
    part(
      'tied embedding gradient',
      step.full && step.shapes.tied ? step.headElements * w : 0,
      'V H w',
      { elements: step.headElements },
      'a tied embedding gets a dense gradient from the input side too'
    )
  ];
}

function optimizerTemporaries(step: Step): Part {
  const { full, gradients, settings, shapes, trained } = step;
  const name = 'optimizer temporaries';
  const source = `optim=${settings.optim}`;
  if (settings.optim !== 'adamw_torch') {
    return part(name, 0, '0: updated in place', { trained }, source);
  }
  if (settings.device === 'cuda') {
    return part(name, gradients, 'trained x bytes: foreach makes one more list', { trained }, source);
  }
  const widths = targetsOf(shapes, settings).map(item => Math.max(item.inputs, item.outputs) * settings.rank);
  const bytes = 2 * step.trainedBytes * (full ? step.headElements : Math.max(0, ...widths));
  return part(name, bytes, '2 x the largest trained tensor: one parameter at a time', { trained }, source);
}

function keptOutputs(step: Step): Part {
  const { settings, shapes, tokens } = step;
  const c = computeBytes(settings);
  const cache =
    settings.masked && !settings.checkpointing ? 2 * c * shapes.kv_heads * shapes.head_dim * tokens * shapes.layers : 0;
  return part(
    'kept outputs',
    settings.outputs_kept ? c * shapes.vocab * tokens + cache : 0,
    'c V tokens + 2 c kv tokens layers where masked',
    { tokens },
    'a variable, `_` or `Out[]` that still holds the outputs of the model'
  );
}

function stateBytes(step: Step): number {
  const { optim } = step.settings;
  if (EIGHT_BIT.includes(optim)) {
    return rounded(step.trained * EIGHT_BIT_STATE_BYTES);
  }
  const factor = STATE_BYTES[optim];
  if (factor === undefined) {
    throw new UnknownError(`Cannot estimate memory for optim='${optim}'.`);
  }
  return rounded(step.gradients * factor);
}

const ALWAYS = ['weights', 'adapter', 'optimizer', 'batch', 'kept outputs'];

function peaksOf(step: Step, size: ReadonlyMap<string, number>): readonly Peak[] {
  const held = step.settings.accumulation > 1 ? ['gradients'] : [];
  const layer = ['activations', 'autocast copies', 'recomputed layer', 'layer backward', 'head gradient'];
  const moments: readonly (readonly [string, readonly string[]])[] = [
    ['loss backward', [...held, 'activations', 'tail', 'autocast copies', 'loss', 'head gradient sum']],
    ['first layer backward', [...held, ...layer]],
    ['backward end', ['gradients', 'recomputed layer', 'tied embedding gradient']],
    ['optimizer step', ['gradients', 'optimizer temporaries']]
  ];
  return moments.map(([name, names]) => {
    const found = [...ALWAYS, ...names].map(item => [item, size.get(item) ?? 0] as const).filter(([, bytes]) => bytes);
    return { name, parts: Object.fromEntries(found), bytes: found.reduce((total, [, bytes]) => total + bytes, 0) };
  });
}

function allocatorFactors(step: Step): Interval {
  if (step.settings.checkpointing) {
    return step.settings.length <= TOKEN_TILE ? [1.04, 1.15] : [1.04, 1.33];
  }
  return step.full ? [1.04, 1.1] : [1.02, 1.07];
}
