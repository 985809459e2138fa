/** DeepSpeed's ZeRO: the twin of workbench/memory/sharding_zero.py, where every term has its source. */
import { rounded, sum } from './shapes';
import type { Moments, Parts } from './shardingFsdp';
import type { Layout, Tensor } from './shardingLayout';
import { normOf, numel, tensorsOf, total, trainedOf } from './shardingLayout';

const MASTER_BYTES = 4;
const SUB_GROUP = 1e9;
const REUSE = 1e9;
const LIVE = 1e9;
/** Moments before the first layer runs backward: no gradient of a layer is there. */
const BEFORE_LAYERS = [
  'last layer forward',
  'loss forward',
  'loss backward',
  'generate',
  'score',
  'sample',
  'evaluation'
];

function positive(parts: Parts): Parts {
  return Object.fromEntries(Object.entries(parts).filter(([, size]) => size));
}

export class ZeroStep {
  readonly partition: number;
  private readonly size: number;
  private readonly hidden: number;

  constructor(
    private readonly layout: Layout,
    private readonly stage: number,
    private readonly world: number,
    private readonly offload: string,
    private readonly moving: Moments
  ) {
    const norm = normOf(layout);
    this.size = norm.computed;
    this.hidden = norm.rows;
    this.partition = this.partitioned();
  }

  get state(): number {
    return rounded(this.partition * (this.layout.stateBytes / Math.max(1, trainedOf(this.layout))));
  }

  /** What lives on the device through the whole step. */
  static(): Parts {
    const here = this.offload === 'none';
    const parts: Record<string, number> = {
      weights: this.weights('weights') + this.layout.quantState,
      adapter: this.weights('adapter')
    };
    if (here) {
      parts['master weights'] = MASTER_BYTES * this.partition;
      parts['optimizer'] = this.state;
    }
    if (this.stage === 3) {
      parts['reduce buffers'] = this.bucket;
      parts['gradients'] = here ? this.size * this.partition : 0;
    } else if (!here) {
      parts['reduce buffers'] = this.size * this.largest;
    }
    return positive(parts);
  }

  /** Moment -> part -> bytes, without what lives through the whole step. */
  moments(): Moments {
    return new Map(
      [...this.moving].map(([name, moving]) => [name, positive({ ...moving, ...this.sizes(name) })] as const)
    );
  }

  private partitioned(): number {
    if (this.stage === 3) {
      return total(this.layout, tensor => (tensor.trained ? Math.ceil(numel(tensor) / this.world) : 0));
    }
    const matrices = total(this.layout, tensor => (tensor.trained && tensor.columns > 1 ? numel(tensor) : 0));
    const groups = [matrices, trainedOf(this.layout) - matrices];
    return sum(groups.map(group => Math.ceil(group / (2 * this.world)) * 2));
  }

  private get largest(): number {
    const tensors = tensorsOf(this.layout);
    return Math.max(0, ...tensors.filter(tensor => tensor.trained).map(numel));
  }

  private get bucketElements(): number {
    return this.hidden * this.hidden;
  }

  private get bucket(): number {
    return this.size * this.bucketElements;
  }

  private persistent(tensor: Tensor): boolean {
    return numel(tensor) <= 10 * this.hidden;
  }

  private onDevice(tensor: Tensor): boolean {
    return this.offload !== 'parameters' || (this.persistent(tensor) && !tensor.trained);
  }

  private weights(part: string): number {
    const mine = (tensor: Tensor): boolean => tensor.part === part;
    const all = (keep: (tensor: Tensor) => boolean): number =>
      total(this.layout, tensor => (mine(tensor) && keep(tensor) ? numel(tensor) * tensor.computed : 0));
    if (this.stage < 3) {
      return all(() => true);
    }
    const cut = total(this.layout, tensor =>
      mine(tensor) && this.onDevice(tensor) ? Math.ceil(numel(tensor) / this.world) * tensor.computed : 0
    );
    return cut + all(tensor => this.persistent(tensor));
  }

  private sizes(moment: string): Parts {
    if (moment === 'optimizer step') {
      return this.step();
    }
    const whole = this.gathered(moment);
    if (BEFORE_LAYERS.includes(moment)) {
      return { ...whole, gradients: this.waiting() };
    }
    return { ...whole, ...(this.stage === 1 ? this.firstStage(moment) : this.reducing(moment)) };
  }

  private waiting(): number {
    if (this.layout.accumulation === 1 || this.stage === 3) {
      return 0;
    }
    return this.stage === 1 ? this.size * trainedOf(this.layout) : this.own;
  }

  private get own(): number {
    return this.offload === 'none' ? this.size * this.partition : 0;
  }

  private get embedding(): readonly [bytes: number, copies: number] {
    const elements = normOf(this.layout).trained ? Math.max(...this.layout.tail.tensors.map(numel)) : 0;
    return [this.size * elements, this.layout.embedding === null ? 2 : 1];
  }

  private get norm(): number {
    if (this.offload === 'none') {
      return 0;
    }
    return 8 * (this.stage === 3 ? Math.ceil(this.largest / this.world) : Math.min(this.largest, this.partition));
  }

  private firstStage(moment: string): Parts {
    const gradients = this.size * trainedOf(this.layout);
    if (moment !== 'backward end') {
      const late = moment === 'last layer backward' || this.layout.accumulation > 1;
      return { 'unsharded gradients': this.size * this.largest, gradients: late ? gradients : 0 };
    }
    const [embedding, copies] = this.embedding;
    return {
      'reduce buffers': this.bucket,
      'unsharded gradients': Math.max(this.own + this.norm, (copies - 1) * embedding),
      gradients
    };
  }

  private reducing(moment: string): Parts {
    const end = moment === 'backward end';
    const [embedding, copies] = this.embedding;
    const made = end ? embedding * copies : this.size * this.largest;
    const copy = this.size * Math.min(this.bucketElements, trainedOf(this.layout));
    if (this.stage === 3) {
      return { 'reduce buffers': copy, 'unsharded gradients': Math.max(made, this.norm) };
    }
    const accumulates = this.layout.accumulation > 1;
    const late = end || moment === 'last layer backward' || accumulates;
    return {
      'reduce buffers': this.bucket + Math.max(0, copy - made - this.norm),
      'unsharded gradients': made + this.norm,
      gradients: this.own * ((late ? 1 : 0) + (accumulates ? 1 : 0))
    };
  }

  private gathered(moment: string): Parts {
    if (this.stage < 3) {
      return {};
    }
    const whole = total(this.layout, tensor => (this.persistent(tensor) ? 0 : numel(tensor)));
    const table = this.layout.embedding?.tensors ?? [];
    const idle = sum(table.map(tensor => (tensor.trained || this.persistent(tensor) ? 0 : numel(tensor))));
    const tensors = tensorsOf(this.layout);
    const module = Math.max(...tensors.map(numel));
    const prefetch = Math.min(Math.floor((9 * this.hidden * this.hidden) / 10), LIVE);
    const kept = moment === 'backward end' ? 0 : REUSE / 2;
    return {
      'unsharded parameters': this.size * Math.min(whole - idle, kept + module + prefetch),
      'gather buffers': this.size * Math.min(prefetch, whole - idle)
    };
  }

  private step(): Parts {
    if (this.offload !== 'none') {
      return {};
    }
    const held = this.stage === 3 ? Math.min(this.partition, SUB_GROUP) : this.partition;
    const kept = this.stage === 3 ? 0 : this.size * held;
    const temporaries = rounded(held * (this.layout.temporaryBytes / Math.max(1, trainedOf(this.layout))));
    return { gradients: MASTER_BYTES * held + Math.max(kept + this.size * held, temporaries) };
  }
}
