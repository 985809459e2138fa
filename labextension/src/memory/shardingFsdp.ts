/** FSDP2's moments: the twin of workbench/memory/sharding_fsdp.py, where every term has its source. */
import { sum } from './shapes';
import type { Layout, Tensor, Unit } from './shardingLayout';
import {
  gathered,
  gradients,
  largestGradient,
  layerOf,
  normOf,
  numel,
  reduced,
  scattered,
  total,
  chunk,
  unitsOf
} from './shardingLayout';

export type Parts = Readonly<Record<string, number>>;
export type Moments = ReadonlyMap<string, Parts>;

const UNSHARDED_MOMENTS: readonly string[] = [
  'loss forward',
  'loss backward',
  'first layer backward',
  'backward end',
  'optimizer step'
];

/** What sharding adds to a moment, bytes. */
interface Added {
  readonly whole?: number;
  readonly gather?: number;
  readonly reduce?: number;
  readonly unsharded?: number;
  readonly scattered?: number;
}

export function without(parts: Parts, ...names: readonly string[]): Parts {
  return Object.fromEntries(Object.entries(parts).filter(([name]) => !names.includes(name)));
}

function highest(candidates: readonly Parts[]): Parts {
  const size = (parts: Parts): number => sum(Object.values(parts));
  return candidates.reduce((best, other) => (size(other) > size(best) ? other : best));
}

export class FsdpStep {
  private readonly tied: boolean;
  private readonly computed: number;
  private readonly layers: number;
  private readonly layer: Unit;
  private readonly table: Unit;

  constructor(
    private readonly layout: Layout,
    private readonly world: number,
    private readonly offloads: boolean,
    private readonly moving: Moments,
    private readonly referred: boolean
  ) {
    this.tied = layout.embedding === null;
    this.computed = normOf(layout).computed;
    this.layers = sum(layout.layers.map(unit => unit.count));
    this.layer = layerOf(layout);
    this.table = layout.embedding ?? layout.tail;
  }

  /** Moment -> part -> bytes, without what lives through the whole step. */
  moments(): Moments {
    const upper = this.layers > 1 ? [0, 1] : [0];
    const passes = this.layout.accumulation > 2 ? [true, false] : [true];
    const tops = (end: boolean): Parts =>
      highest(upper.flatMap(done => passes.map(last => this.layerBackward(done, end, last))));
    const others = [...this.moving.keys()].filter(name => !UNSHARDED_MOMENTS.includes(name));
    return new Map<string, Parts>([
      ...others.map(name => [name, this.forward(name)] as const),
      ['gather', highest([this.firstGather(), this.lastGather()])],
      ['loss forward', this.lossForward()],
      ...(this.referred ? [['reference forward', this.referenceForward()] as const] : []),
      ['loss backward', this.lossBackward()],
      ...(this.tied ? [] : [['tail reduce', this.tailReduce()] as const]),
      ['first layer backward', tops(false)],
      ['layer reduce', tops(true)],
      ['last layer backward', highest([false, true].map(end => this.layerBackward(this.layers - 1, end, true)))],
      ['embedding backward', this.embeddingBackward()],
      ['embedding reduce', this.embeddingReduce()],
      ['optimizer step', this.with('optimizer step', { scattered: this.shards(unitsOf(this.layout)) })]
    ]);
  }

  private with(moment: string, added: Added): Parts {
    const named: Readonly<Record<string, number | undefined>> = {
      'unsharded parameters': added.whole,
      'gather buffers': added.gather,
      'reduce buffers': added.reduce,
      'unsharded gradients': added.unsharded,
      gradients: added.scattered
    };
    const found = Object.entries(named).filter((entry): entry is [string, number] => Boolean(entry[1]));
    return { ...this.moving.get(moment), ...Object.fromEntries(found) };
  }

  private whole(unit: Unit): number {
    return gathered(unit, this.world);
  }

  private buffer(unit: Unit): number {
    return this.world > 1 ? this.whole(unit) : 0;
  }

  private waiting(done: number | null): number {
    if (this.layout.accumulation === 1) {
      return 0;
    }
    const everything = sum(unitsOf(this.layout).map(unit => gradients(unit) * unit.count));
    return done === null
      ? everything
      : everything - (this.tied ? 0 : gradients(this.layout.tail)) - done * gradients(this.layer);
  }

  private shards(units: readonly Unit[]): number {
    return this.offloads ? 0 : sum(units.map(unit => scattered(unit, this.world) * unit.count));
  }

  private reduced(unit: Unit): number {
    return reduced(unit, this.world, this.computed);
  }

  private forward(moment: string): Parts {
    const whole = this.whole(this.layer) + this.whole(this.layout.tail);
    return this.with(moment, { whole, gather: this.buffer(this.layer) });
  }

  private firstGather(): Parts {
    const { layer, table } = this;
    return this.with('optimizer step', {
      whole: this.whole(layer) + (this.tied ? this.whole(table) : 0),
      gather: this.buffer(table) + this.buffer(layer),
      unsharded: this.waiting(null)
    });
  }

  private lastGather(): Parts {
    const { layer } = this;
    const { tail } = this.layout;
    const parts = this.with('loss backward', {
      whole: this.whole(tail) + (this.tied ? this.whole(layer) : 0),
      gather: this.buffer(layer) + this.buffer(this.tied ? layer : tail),
      unsharded: this.waiting(null)
    });
    const left = this.layers - (this.tied ? 1 : 0);
    const activations = Math.floor((parts['activations'] ?? 0) / this.layers) * left;
    return without({ ...parts, activations }, 'loss', 'tail', 'head gradient sum');
  }

  private lossForward(): Parts {
    const added = {
      whole: this.whole(this.layout.tail),
      gather: this.buffer(this.tied ? this.layer : this.layout.tail),
      unsharded: this.waiting(null)
    };
    const parts = without(this.with('loss backward', added), 'head gradient sum');
    const { loss } = parts;
    return this.layout.logits && loss !== undefined
      ? { ...parts, loss: Math.floor((loss * (8 + this.computed)) / 12) }
      : parts;
  }

  private referenceForward(): Parts {
    const parts = this.lossForward();
    const everything = sum(unitsOf(this.layout).map(unit => this.whole(unit) * unit.count));
    return {
      ...parts,
      'unsharded parameters': (parts['unsharded parameters'] ?? 0) + everything,
      'gather buffers': this.world > 1 ? everything : 0
    };
  }

  private lossBackward(): Parts {
    return this.with('loss backward', {
      whole: this.whole(this.layout.tail),
      gather: this.layout.logits ? 0 : this.buffer(this.layer),
      unsharded: this.waiting(null)
    });
  }

  private layerBackward(done: number, end: boolean, last: boolean): Parts {
    const parts = this.with('first layer backward', this.addedByLayer(done, end, last));
    const recomputes = (this.moving.get('first layer backward')?.['recomputed layer'] ?? 0) > 0;
    const left = this.layers - done - (end && !recomputes ? 1 : 0);
    const activations = Math.floor((parts['activations'] ?? 0) / this.layers) * left;
    const kept = end ? without(parts, 'layer backward', 'recomputed layer') : parts;
    return { ...kept, activations };
  }

  private addedByLayer(done: number, end: boolean, last: boolean): Added {
    const { layer } = this;
    const { tail } = this.layout;
    const made = end ? gradients(layer) : largestGradient(layer);
    const head = this.tied ? [0, gradients(tail)] : [this.shards([tail]), 0];
    const [tailShard = 0, waitingHead = 0] = head;
    const shards = tailShard + Math.floor((done * this.shards([layer])) / layer.count);
    return {
      whole: this.whole(layer),
      gather: this.buffer(done === this.layers - 1 ? this.table : layer),
      reduce: last && (done || !this.tied) ? this.reduced(done ? layer : tail) : 0,
      unsharded: this.waiting(last ? done : null) || made + waitingHead,
      scattered: last ? shards : 0
    };
  }

  private done(): readonly Unit[] {
    return this.tied ? this.layout.layers : [...this.layout.layers, this.layout.tail];
  }

  private lastGradient(unit: Unit): number {
    const last = unit.tensors[unit.tensors.length - 1];
    return last?.trained ? numel(last) * last.computed : 0;
  }

  private cast(unit: Unit): number {
    const last = unit.tensors[unit.tensors.length - 1];
    return last?.trained && last.stored !== this.computed
      ? Math.floor(reduced(unit, this.world, this.computed) / this.world)
      : 0;
  }

  private tailReduce(): Parts {
    const { tail } = this.layout;
    const parts = this.with('loss backward', {
      reduce: this.reduced(tail) + this.cast(tail),
      unsharded: this.waiting(0) + this.lastGradient(tail),
      scattered: this.shards([tail])
    });
    return without(parts, 'loss', 'head gradient sum');
  }

  private embeddingBackward(): Parts {
    const added = {
      whole: this.whole(this.table),
      reduce: this.reduced(this.layer),
      unsharded: largestGradient(this.table) * (this.tied ? 3 : 1),
      scattered: this.shards(this.done())
    };
    return without(this.with('backward end', added), 'recomputed layer');
  }

  private embeddingReduce(): Parts {
    const added = {
      reduce: this.reduced(this.table) + this.cast(this.table),
      unsharded: this.lastGradient(this.table),
      scattered: this.shards([...this.done(), this.table])
    };
    return without(this.with('backward end', added), 'recomputed layer');
  }
}

/** Shards of a part's tensors on one rank, padding included, bytes; with offload what is not cut stays. */
export function stored(layout: Layout, world: number, part: string, offloads: boolean): number {
  const isHere = (tensor: Tensor): boolean => tensor.part === part && (tensor.whole || !offloads);
  return total(layout, tensor => (isHere(tensor) ? chunk(tensor, world) * tensor.stored : 0));
}
