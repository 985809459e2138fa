/** Tensors of a model in the groups that sharding moves together: the twin of workbench/memory/sharding_layout.py. */
import { copiesOf, rankOf, vectorsOf } from './reached';
import { isCut, isPacked, packedShape, quantStateBytes } from './shardingPacked';
import { targetsOf } from './statics';
import type { Linear, Settings, Shapes } from './shapes';
import { sum, trainsAll } from './shapes';

/** Bytes of one element: of a trained and of a frozen parameter between steps, and while a layer computes. */
export interface Storage {
  readonly trained: number;
  readonly frozen: number;
  readonly computed: number;
}

export interface Tensor {
  readonly rows: number;
  readonly columns: number;
  readonly part: 'weights' | 'adapter';
  readonly trained: boolean;
  readonly stored: number;
  readonly computed: number;
  /** Whether every rank keeps all of it, outside of what is cut and gathered. */
  readonly whole?: boolean;
}

/** Parameters that are gathered and reduced together; `count` alike ones. */
export interface Unit {
  readonly tensors: readonly Tensor[];
  readonly count: number;
}

export interface Layout {
  /** Null where it is tied to the head and lives in the tail. */
  readonly embedding: Unit | null;
  readonly layers: readonly Unit[];
  readonly tail: Unit;
  readonly stateBytes: number;
  readonly temporaryBytes: number;
  readonly accumulation: number;
  readonly logits: boolean;
  /** Parameters that no step gathers. */
  readonly aside: readonly Unit[];
  /** Bytes of scales and code books of quantised weights, whole on every rank. */
  readonly quantState: number;
}

export function numel(tensor: Tensor): number {
  return tensor.rows * tensor.columns;
}

/** Elements that every rank stores: those of the first chunk. */
export function chunk(tensor: Tensor, world: number): number {
  return tensor.whole ? numel(tensor) : Math.ceil(tensor.rows / world) * tensor.columns;
}

/** Elements that one rank owns. */
export function local(tensor: Tensor, world: number, rank: number): number {
  if (tensor.whole) {
    return numel(tensor);
  }
  const rows = Math.ceil(tensor.rows / world);
  return Math.min(rows, Math.max(0, tensor.rows - rank * rows)) * tensor.columns;
}

function over(tensors: readonly Tensor[], size: (tensor: Tensor) => number): number {
  return sum(tensors.map(size));
}

/** Bytes of one unit when it is whole, padding included. */
export function gathered(unit: Unit, world: number): number {
  return over(unit.tensors, tensor => (tensor.whole ? 0 : world * chunk(tensor, world) * tensor.computed));
}

/** Bytes of a unit's gradients before they are scattered, at `size` bytes an element. */
export function reduced(unit: Unit, world: number, size: number): number {
  return over(unit.tensors, tensor => (tensor.trained ? world * chunk(tensor, world) * size : 0));
}

/** Bytes of a unit's gradients as backward makes them. */
export function gradients(unit: Unit): number {
  return over(unit.tensors, tensor => (tensor.trained ? numel(tensor) * tensor.computed : 0));
}

/** Bytes of a unit's gradients that one rank keeps. */
export function scattered(unit: Unit, world: number): number {
  return over(unit.tensors, tensor => (tensor.trained ? chunk(tensor, world) * tensor.stored : 0));
}

/** Largest gradient of a unit, bytes. */
export function largestGradient(unit: Unit): number {
  return Math.max(0, ...unit.tensors.filter(tensor => tensor.trained).map(tensor => numel(tensor) * tensor.computed));
}

/** All units in the order of the forward pass. */
export function unitsOf(layout: Layout): readonly Unit[] {
  return [...(layout.embedding ? [layout.embedding] : []), ...layout.layers, layout.tail];
}

/** Sum of a size over all tensors. */
export function total(layout: Layout, size: (tensor: Tensor) => number): number {
  return sum([...unitsOf(layout), ...layout.aside].map(unit => unit.count * over(unit.tensors, size)));
}

export function trainedOf(layout: Layout): number {
  return total(layout, tensor => (tensor.trained ? numel(tensor) : 0));
}

/** Every tensor there is, once a unit. */
export function tensorsOf(layout: Layout): readonly Tensor[] {
  return [...unitsOf(layout), ...layout.aside].flatMap(unit => unit.tensors);
}

/** The largest decoder layer. */
export function layerOf(layout: Layout): Unit {
  return layout.layers.reduce((best, other) => (over(other.tensors, numel) > over(best.tensors, numel) ? other : best));
}

/** The last norm is as wide as the model, and stands first in the tail. */
export function normOf(layout: Layout): Tensor {
  const [norm] = layout.tail.tensors;
  if (!norm) {
    throw new RangeError('The tail of a model has a norm.');
  }
  return norm;
}

/** The layout of a decoder with or without a LoRA adapter; layers with and without experts are two units. */
export function layoutOf(shapes: Shapes, settings: Settings, storage: Storage, strategy: string): Layout {
  const make = new Maker(settings, storage, targetsOf(shapes, settings), isCut(settings, strategy));
  const sparse = shapes.experts?.layers ?? 0;
  const head = make.norm(shapes);
  const norms = [
    ...Array.from({ length: shapes.norms }, () => head).flat(),
    ...queryNorms(shapes).map(width => make.weight(width))
  ];
  const unit = (withExperts: boolean, count: number): Unit => ({
    tensors: [...ofLayer(shapes, withExperts).flatMap(item => make.module(item)), ...norms],
    count
  });
  const table = make.weight(shapes.vocab, shapes.hidden);
  return {
    embedding: shapes.tied ? null : { tensors: [table], count: 1 },
    layers: [unit(false, shapes.layers - sparse), unit(true, sparse)].filter(found => found.count),
    tail: { tensors: [...head, ...(shapes.head_bias ? [make.weight(shapes.vocab)] : []), table], count: 1 },
    aside: [...tower(shapes, make), ...reached(settings, make)],
    stateBytes: 0,
    temporaryBytes: 0,
    accumulation: 1,
    logits: false,
    quantState: quantStateBytes(shapes, settings)
  };
}

/** Makes tensors with the types of a run. */
class Maker {
  private readonly full: boolean;

  constructor(
    private readonly settings: Settings,
    private readonly storage: Storage,
    private readonly targets: readonly Linear[],
    private readonly cut: boolean
  ) {
    this.full = trainsAll(settings);
  }

  weight(rows: number, columns = 1): Tensor {
    const { computed, frozen, trained } = this.storage;
    return { rows, columns, part: 'weights', trained: this.full, stored: this.full ? trained : frozen, computed };
  }

  norm(shapes: Shapes): readonly Tensor[] {
    const weight = this.weight(shapes.hidden);
    return shapes.norm === 'layer' ? [weight, weight] : [weight];
  }

  module(item: Linear): readonly Tensor[] {
    const found = [this.matrix(item), ...(item.bias ? [this.weight(item.outputs)] : [])];
    if (!this.targets.includes(item)) {
      return found;
    }
    return [...found, ...this.matrices(item)];
  }

  /** LoRA's matrices of a module, DoRA's magnitude, B's bias. */
  matrices(item: Linear): readonly Tensor[] {
    const rank = rankOf(item, this.settings);
    const vectors = Array.from({ length: vectorsOf(this.settings) }, () => this.adapter(item.outputs, 1));
    return [this.adapter(rank, item.inputs), this.adapter(item.outputs, rank), ...vectors];
  }

  private matrix(item: Linear): Tensor {
    if (isPacked(item, this.settings)) {
      const [rows, columns, size] = packedShape(item, this.settings);
      return { rows, columns, part: 'weights', trained: false, stored: size, computed: size, whole: !this.cut };
    }
    return item.experts > 1
      ? this.weight(item.experts, item.inputs * item.outputs)
      : this.weight(item.outputs, item.inputs);
  }

  adapter(rows: number, columns: number): Tensor {
    const { computed, trained } = this.storage;
    return { rows, columns, part: 'adapter', trained: true, stored: trained, computed };
  }
}

/** What a pattern reached, which differs from layer to layer: cut exactly, but not counted with its layer's buffers. */
function reached(settings: Settings, make: Maker): readonly Unit[] {
  if (!settings.reached || trainsAll(settings)) {
    return [];
  }
  const adapters = settings.reached.modules.map(item => ({ tensors: make.matrices(item), count: item.copies }));
  const copies = copiesOf(settings)
    .filter(own => own.copied)
    .map(own => ({ tensors: [make.adapter(own.rows, own.columns)], count: own.copies }));
  return [...adapters, ...copies];
}

function ofLayer(shapes: Shapes, sparse: boolean): readonly Linear[] {
  const first = shapes.modules.findIndex(item => item.reads === 'expert');
  return shapes.modules.filter((item, index) => {
    const withExperts = first >= 0 && index >= first;
    return item.reads !== 'tower' && (item.reads.startsWith('attention') || withExperts === sparse);
  });
}

function queryNorms(shapes: Shapes): readonly number[] {
  const { head_dim: dim, heads, kv_heads: kvHeads, qk_norm: kind } = shapes;
  if (!kind) {
    return [];
  }
  return kind === 'head' ? [dim, dim] : [heads * dim, kvHeads * dim];
}

function tower(shapes: Shapes, make: Maker): readonly Unit[] {
  const modules = shapes.modules.filter(item => item.reads === 'tower');
  const units = modules.map(item => ({ tensors: make.module(item), count: item.copies }));
  return shapes.tower ? [...units, { tensors: [make.weight(shapes.tower)], count: 1 }] : units;
}
