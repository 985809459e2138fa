/**
 * The closed form for sliders: the twin of workbench/memory/analytic.py, equal to the byte.
 *
 *     estimate(shapes, { ...settings, rank: 32 }).live
 *
 * tests/memory/test_memory_twin.py asks both on thousands of random configurations.
 */
import { byKind } from './kinds';
import { imageParts } from './imageParts';
import { loadingMoment, loadingParts } from './loadingParts';
import { TOKEN_TILE } from './lossParts';
import { engineParts, furtherMoments, STAYING } from './moments';
import type { Moment } from './moments';
import { movingParts, staticParts } from './parts';
import { coefficients } from './saved';
import type { Estimate, Interval, Peak, Settings, Shapes } from './shapes';
import { ODDS, rounded } from './shapes';
import type { Step } from './step';
import { stepOf } from './step';

export type { Estimate, Interval, Part, Peak, Settings, Shapes } from './shapes';
export { UnknownError } from './shapes';
export { KINDS, kindOf } from './kinds';
export type { Kind } from './kinds';

const GIB = 2 ** 30;
const CUDA_CONTEXT: Interval = [rounded(0.3 * GIB), rounded(0.6 * GIB)];

/**
 * Memory of one training step after the first. Throws `UnknownError` for an optimizer or target it does not know.
 * `saved` takes the place of what the closed form says a step saves.
 */
export function estimate(shapes: Shapes, settings: Settings, saved = coefficients(shapes, settings)): Estimate {
  const step = stepOf(shapes, settings, saved);
  const between = furtherMoments(step);
  const own = between.flatMap(moment => moment.parts);
  const moving = [...movingParts(step), ...imageParts(step), ...engineParts(step)];
  const parts = [...staticParts(step), ...moving, ...own, ...loadingParts(step)];
  const size = new Map(parts.map(part => [part.name, part.bytes]));
  const further = between.map(moment => betweenPeak(moment, size));
  const peaks = [...loadingMoment(step, size), ...further, ...peaksOf(step, size)];
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

/** What images add to what forward keeps. */
const SEEN = ['vision activations', 'projector activations'];

const ALWAYS = [
  'weights',
  'adapter',
  'reference model',
  'optimizer',
  'batch',
  'pixels',
  'workspace',
  'kept outputs',
  'vllm engine'
];

/** Names of the parts that are live in each moment; a moment without parts does not happen. */
function momentsOf(
  { settings }: Step,
  size: ReadonlyMap<string, number>
): readonly (readonly [string, readonly string[]])[] {
  const held = settings.accumulation > 1 ? ['gradients'] : [];
  const again = settings.checkpointing;
  const kept = [...held, 'activations', ...SEEN, 'autocast copies', 'adapted experts'];
  const layer = again ? [...kept, 'recomputed layer'] : kept;
  return [
    ['last layer forward', again ? [] : [...kept, 'vision outputs', 'layer forward']],
    ['loss backward', [...kept, 'tail', 'loss', 'head gradient sum']],
    [
      'loss forward',
      size.get('forward copies') && !ODDS.includes(settings.method)
        ? [...held, 'activations', ...SEEN, 'forward copies', 'loss']
        : []
    ],
    ['first layer recomputed', again ? [...layer, 'layer forward', 'head gradient'] : []],
    ['first layer backward', [...layer, 'layer backward', 'head gradient']],
    [
      'first layer attention backward',
      size.get('attention backward') ? [...layer, 'attention backward', 'head gradient'] : []
    ],
    ['last layer backward', ['gradients so far', 'layer copies', 'recomputed layer', 'layer backward']],
    ['vision backward', size.get('vision layer') ? ['gradients so far', 'vision activations', 'vision layer'] : []],
    ['backward end', ['gradients', 'tied embedding gradient']],
    ['optimizer step', ['gradients', 'optimizer temporaries']]
  ];
}

function peakOf(name: string, names: readonly string[], size: ReadonlyMap<string, number>): Peak {
  const found = names.map(item => [item, size.get(item) ?? 0] as const).filter(([, bytes]) => bytes);
  const bytes = found.reduce((total, [, each]) => total + each, 0);
  return { name, parts: Object.fromEntries(found), bytes };
}

/** A moment outside of a step's forward and backward. */
function betweenPeak({ held, name, parts }: Moment, size: ReadonlyMap<string, number>): Peak {
  return peakOf(name, [...STAYING, ...held, ...parts.map(part => part.name)], size);
}

function peaksOf(step: Step, size: ReadonlyMap<string, number>): readonly Peak[] {
  return momentsOf(step, size)
    .filter(([, names]) => names.length)
    .map(([name, names]) => peakOf(name, [...ALWAYS, ...names], size));
}

function allocatorFactors(step: Step): Interval {
  if (step.settings.checkpointing) {
    return step.settings.length <= TOKEN_TILE ? [1.02, 1.15] : [1.02, 1.33];
  }
  return step.full ? [1, 1.1] : [1.01, 1.07];
}
