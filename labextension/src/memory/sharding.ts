/**
 * Several devices for sliders: the twin of workbench/memory/sharding.py and sharded.py, equal to the byte.
 *
 *     evaluate(shapes, { ...settings, sharding: 'fsdp', world: 8 }).live
 *
 * Without a sharding it is the closed form of one device. Host memory and what single ranks own are only in Python.
 */
import { estimate } from './analytic';
import { byKind } from './kinds';
import { optimizerOf } from './optimizers';
import { copiesOf, elementsOf } from './reached';
import { adapterParameters } from './statics';
import type { Estimate, Interval, Part, Peak, Settings, Shapes } from './shapes';
import { computeBytes, restBytes, rounded, sum, trainedBytes, UnknownError, wholeLogits } from './shapes';
import type { Moments, Parts } from './shardingFsdp';
import { FsdpStep, stored, without } from './shardingFsdp';
import type { Layout, Storage } from './shardingLayout';
import { layoutOf, local, numel, total, trainedOf } from './shardingLayout';
import { requireCuttable } from './shardingPacked';
import { ZeroStep } from './shardingZero';

const GIB = 2 ** 30;
const NCCL: Interval = [rounded(0.1 * GIB), GIB];
const LARGEST_WORLD = 2 ** 20;
const OFFLOADS: Readonly<Record<string, readonly string[]>> = {
  none: ['none'],
  ddp: ['none'],
  fsdp: ['none', 'parameters'],
  zero1: ['none', 'optimizer'],
  zero2: ['none', 'optimizer'],
  zero3: ['none', 'optimizer', 'parameters']
};

/** Strategies in the order of a choice. */
export const STRATEGIES: readonly string[] = Object.keys(OFFLOADS);

/** Parts of an unsharded step that sharding replaces. */
const CUT: readonly string[] = [
  'weights',
  'adapter',
  'optimizer',
  'gradients',
  'gradients so far',
  'head gradient',
  'tied embedding gradient',
  'optimizer temporaries',
  'autocast copies'
];

const SHARD = ["sum over tensors of a rank's shard", 'padded to the first chunk of each tensor'] as const;
const FORMULAS: Readonly<Record<string, readonly [formula: string, source: string]>> = {
  weights: SHARD,
  adapter: SHARD,
  optimizer: ["state of the rank's trained elements", 'the optimizer only sees its shard'],
  'master weights': ['4 x partition', 'ZeRO updates float32 copies'],
  gradients: ["gradients of the rank's shard", 'after the reduce-scatter'],
  'unsharded parameters': ['tensors that are whole at this moment x bytes', 'gathered for the layers that compute'],
  'gather buffers': ['one unit x bytes', 'the flat output of an all-gather until it is copied out'],
  'reduce buffers': ['gradients of one unit or one bucket x bytes', 'the flat input of a reduction'],
  'unsharded gradients': ['gradients not yet reduced x bytes', 'backward makes them whole']
};

/** How settings spread a run; several devices without a strategy are DDP's. Throws for what does not exist. */
interface Spread {
  readonly strategy: string;
  readonly world: number;
  readonly offload: string;
}

function spreadOf(settings: Settings): Spread {
  const { offload = 'none', sharding = 'none', world = 1 } = settings;
  const strategy = sharding === 'none' && world !== 1 ? 'ddp' : sharding;
  const offloads = OFFLOADS[strategy];
  if (!offloads || !offloads.includes(offload)) {
    throw new UnknownError(`Sharding '${strategy}' with offload '${offload}' is not possible.`);
  }
  if (!Number.isInteger(world) || world < 1 || world > LARGEST_WORLD) {
    throw new UnknownError(`world=${world} is not possible.`);
  }
  return { strategy, world, offload };
}

/** The estimate of one device, or of the fullest of several. */
export function evaluate(shapes: Shapes, settings: Settings): Estimate {
  const spread = spreadOf(settings);
  const alone = estimate(shapes, settings);
  if (spread.strategy === 'none') {
    return alone;
  }
  const layout = spreadLayout(shapes, settings, spread, alone);
  if (spread.strategy === 'ddp') {
    const buckets = total(layout, tensor => (tensor.trained ? numel(tensor) * tensor.stored : 0));
    return assembled(
      alone,
      alone.peaks.map(peak => peakOf(peak.name, { ...peak.parts, 'reduce buffers': buckets }))
    );
  }
  const { computed } = storageOf(settings, spread.strategy);
  const computing = {
    ...settings,
    weight_bytes: computed,
    autocast: false,
    low_adapter: computed === 2,
    float32_rest: false
  };
  const base = estimate(shapes, computing);
  const moving: Moments = new Map(
    base.peaks.map(peak => [
      peak.name,
      Object.fromEntries(Object.entries(peak.parts).filter(([name]) => !CUT.includes(name)))
    ])
  );
  const [always, moments] = spread.strategy === 'fsdp' ? fsdp(layout, spread, moving) : zero(layout, spread, moving);
  return assembled(
    base,
    [...moments].map(([name, parts]) => peakOf(name, added(always, parts)))
  );
}

function fsdp(layout: Layout, spread: Spread, moving: Moments): readonly [Parts, Moments] {
  const { world } = spread;
  const offloads = spread.offload === 'parameters';
  const referred = [...moving.values()].some(parts => parts['reference model']);
  const cut: Moments = new Map([...moving].map(([name, parts]) => [name, without(parts, 'reference model')]));
  const moments = new Map(new FsdpStep(layout, world, offloads, cut, referred).moments());
  const weights = stored(layout, world, 'weights', offloads) + layout.quantState;
  if (offloads) {
    return [{ weights, adapter: 0 }, moments];
  }
  const trained = trainedOf(layout);
  const owned = total(layout, tensor => (tensor.trained ? local(tensor, world, 0) : 0));
  const temporaries = rounded(owned * (layout.temporaryBytes / Math.max(1, trained)));
  moments.set('optimizer step', { ...moments.get('optimizer step'), 'optimizer temporaries': temporaries });
  const always = {
    weights,
    adapter: stored(layout, world, 'adapter', false),
    optimizer: rounded(owned * (layout.stateBytes / Math.max(1, trained))),
    'reference model': referred ? weights : 0
  };
  return [always, moments];
}

function zero(layout: Layout, spread: Spread, moving: Moments): readonly [Parts, Moments] {
  const step = new ZeroStep(layout, Number(spread.strategy.slice(-1)), spread.world, spread.offload, moving);
  return [step.static(), step.moments()];
}

function storageOf(settings: Settings, strategy: string): Storage {
  const low = computeBytes(settings);
  const frozen = restBytes(settings);
  const trained = trainedBytes(settings);
  if (strategy === 'ddp') {
    return { trained, frozen, computed: low };
  }
  return strategy === 'fsdp'
    ? { trained: settings.quantisation === 'nf4' ? trained : 4, frozen, computed: low }
    : { trained: low, frozen: low, computed: low };
}

function spreadLayout(shapes: Shapes, settings: Settings, spread: Spread, alone: Estimate): Layout {
  const { strategy } = spread;
  requireCuttable(settings, strategy);
  const storage = storageOf(settings, strategy);
  const layout = layoutOf(shapes, settings, storage, strategy);
  const unpacked = layoutOf(shapes, { ...settings, quantisation: 'none' }, storage, strategy);
  const copies = copiesOf(settings).filter(own => own.copied);
  if (total(unpacked, numel) !== shapes.total + adapterParameters(shapes, settings) + sum(copies.map(elementsOf))) {
    throw new UnknownError(`Sharding of ${shapes.family} is not estimated.`);
  }
  const bytes = (name: string): number => sum(alone.parts.filter(part => part.name === name).map(part => part.bytes));
  const updated = strategy.startsWith('zero') ? 4 : storage.trained;
  const before = trainedBytes(settings);
  const state = bytes('optimizer');
  const scaled = ['own', 'factored'].includes(optimizerOf(settings.optim).kept);
  return {
    ...layout,
    stateBytes: scaled ? Math.floor((state * updated) / before) : state,
    temporaryBytes: bytes('optimizer temporaries'),
    accumulation: settings.accumulation,
    logits: wholeLogits(settings)
  };
}

function added(always: Parts, parts: Parts): Parts {
  const found: Record<string, number> = { ...always };
  for (const [name, size] of Object.entries(parts)) {
    found[name] = (found[name] ?? 0) + size;
  }
  return Object.fromEntries(Object.entries(found).filter(([, size]) => size));
}

function peakOf(name: string, parts: Parts): Peak {
  return { name, parts, bytes: sum(Object.values(parts)) };
}

/** The base with other moments: parts as in the highest one, intervals scaled alike, streams' pools on top. */
function assembled(base: Estimate, peaks: readonly Peak[]): Estimate {
  const peak = peaks.reduce((best, other) => (other.bytes > best.bytes ? other : best));
  const known = new Map(base.parts.map(part => [part.name, part]));
  const [low, high] = base.reserved.map(end => end / Math.max(1, base.live)) as [number, number];
  const most = (name: string): number => Math.max(...peaks.map(item => item.parts[name] ?? 0));
  const streams = most('gather buffers') + most('reduce buffers');
  const rest = Math.max(
    ...peaks.map(item => item.bytes - (item.parts['gather buffers'] ?? 0) - (item.parts['reduce buffers'] ?? 0))
  );
  const least = rounded(peak.bytes * low);
  const cuda = base.context[1] > 0;
  return {
    parts: Object.entries(peak.parts).map(([name, size]) => partOf(name, size, known.get(name))),
    peaks,
    peak,
    live: peak.bytes,
    reserved: cuda ? [least, Math.max(least, rounded(rest * high) + streams)] : [peak.bytes, peak.bytes],
    context: cuda ? [base.context[0] + NCCL[0], base.context[1] + NCCL[1]] : base.context,
    byKind: byKind(peak.parts)
  };
}

function partOf(name: string, bytes: number, known: Part | undefined): Part {
  const said = FORMULAS[name];
  if (said && known?.bytes !== bytes) {
    return { name, bytes, formula: said[0], inputs: {}, source: said[1] };
  }
  return known ? { ...known, bytes } : { name, bytes, formula: 'bytes', inputs: {}, source: '' };
}
