/** What a pass without gradients needs for a moment: the twin of workbench/memory/inference.py. */
import { linearParameters, OF_LAYERS } from './saved';
import type { Experts, Linear, Settings, Shapes } from './shapes';
import { adapterBytes, restBytes, sum, trainsAll } from './shapes';
import { adapted, targetsOf } from './statics';

const PAIR_MULTIPLE = 16;

/** A forward pass without gradients. */
export interface Pass {
  /** Sequences, tokens of each that are read, and tokens of each that attention sees. */
  readonly rows: number;
  readonly tokens: number;
  readonly keys: number;
  readonly autocast: boolean;
  /** Whether keys and values are kept for the next token. */
  readonly cached: boolean;
  readonly masked: boolean;
  /** Whether the adapter is on. */
  readonly adapted: boolean;
  /** Whether modules are in training mode, in which LoRA drops inputs. */
  readonly training: boolean;
}

/** Bytes of an element in a pass. */
export interface Types {
  readonly product: number;
  readonly stream: number;
  readonly out: number;
  readonly adapter: number;
  readonly lora: number;
  readonly normed: number;
  readonly roped: number;
}

const readOf = (run: Pass): number => run.rows * run.tokens;

export function typesOf(shapes: Shapes, settings: Settings, autocast: boolean): Types {
  const stream = restBytes(settings);
  const product = autocast ? 2 : settings.weight_bytes;
  const out = settings.quantisation === 'none' ? product : stream;
  const adapter = adapterBytes(settings);
  return {
    product,
    stream,
    out,
    adapter,
    lora: autocast ? 2 : adapter,
    normed: shapes.norm === 'layer' && autocast ? 4 : stream,
    roped: Math.max(out, stream)
  };
}

const keyWidth = ({ head_dim: features, kv_heads: heads }: Shapes): number => heads * features;
const queryWidth = ({ head_dim: features, heads }: Shapes): number => heads * features;

/** Bytes of the last layer's highest moment, without the cache of the layers. */
export function layerMoment(shapes: Shapes, settings: Settings, run: Pass): number {
  return Math.max(mlpMoment(shapes, settings, run), attentionMoment(shapes, settings, run));
}

/** Bytes of the keys and values of all layers; layers with a window keep one token less than it. */
export function cacheBytes(shapes: Shapes, settings: Settings, run: Pass): number {
  const width = 2 * keyWidth(shapes) * typesOf(shapes, settings, run.autocast).roped * run.rows;
  const { window = 0, windowed = 0 } = shapes;
  const short = window ? Math.min(run.keys, window - 1) : run.keys;
  return width * (windowed * short + (shapes.layers - windowed) * run.keys);
}

/** Bytes of one layer's keys, which are there twice while a token is joined to them. */
export function widestRow(shapes: Shapes, settings: Settings, run: Pass): number {
  const { roped } = typesOf(shapes, settings, run.autocast);
  return keyWidth(shapes) * roped * run.rows * Math.max(0, run.keys - 1);
}

/** Bytes of autocast's bfloat16 copies of the trained weights, without the head's. */
export function weightCopies(shapes: Shapes, settings: Settings, run: Pass): number {
  if (!run.autocast) {
    return 0;
  }
  if (trainsAll(settings)) {
    return settings.weight_bytes === 4 ? 2 * linearParameters(shapes) : 0;
  }
  if (!run.adapted || adapterBytes(settings) !== 4) {
    return 0;
  }
  const found = targetsOf(shapes, settings).filter(item => OF_LAYERS.includes(item.reads));
  return 2 * sum(found.map(item => adapted(item, settings)));
}

/** Bytes of the copy of the last module, which is not made yet at a layer's highest moment. */
export function lastCopy(shapes: Shapes, settings: Settings, run: Pass): number {
  const wide = shapes.experts ? 0 : shapes.hidden * shapes.intermediate;
  return trainsAll(settings) && weightCopies(shapes, settings, run) ? 2 * wide : 0;
}

/** Bytes of rotary tables and masks; `rows` have positions of their own. */
export function tablesBytes(shapes: Shapes, settings: Settings, run: Pass, rows: number): number {
  const { layers, windowed = 0 } = shapes;
  const kinds = windowed > 0 && windowed < layers ? 2 : 1;
  const tables = 2 * kinds * restBytes(settings) * shapes.head_dim * rows * run.tokens;
  if (!run.masked || settings.attention === 'flash_attention_2') {
    return tables;
  }
  const pair = settings.attention === 'eager' ? restBytes(settings) : 1;
  return tables + kinds * pair * readOf(run) * run.keys;
}

/** Bytes a token of embeddings, the layer's input, `beside` more, and what a norm gave. */
function streams(shapes: Shapes, types: Types, beside: number): number {
  const normed = shapes.post_norm ? 0 : types.normed;
  const first = shapes.layers > 1 ? types.stream : 0;
  const other = shapes.norms === 1 ? types.out : types.stream;
  return (types.stream + first + beside * other + normed) * shapes.hidden;
}

/** Bytes an output feature while PEFT adds its product. */
function added(settings: Settings, { lora, out }: Types): number {
  if (settings.quantisation !== 'none') {
    return Math.max(3 * out, out + 2 * lora);
  }
  return settings.adapter === 'dora' ? out + lora + 12 : out + Math.max(2 * lora, lora + Math.max(out, lora));
}

/** Bytes an input feature while the adapter's first product runs. */
function entering(settings: Settings, run: Pass, { adapter }: Types): number {
  const lowered = run.autocast && adapter === 4 ? 2 : 0;
  return settings.dropout && run.training ? adapter + Math.max(1, lowered) : lowered;
}

function mlpMoment(shapes: Shapes, settings: Settings, run: Pass): number {
  const types = typesOf(shapes, settings, run.autocast);
  const { out } = types;
  const read = readOf(run);
  const weights =
    settings.attention === 'eager' ? (run.autocast ? 2 : types.roped) * shapes.heads * read * run.keys : 0;
  const around = streams(shapes, types, 1) * read + weights;
  if (shapes.experts) {
    return around + expertsMoment(shapes, shapes.experts, settings, run);
  }
  const linear = [
    ...new Map(shapes.modules.filter(item => OF_LAYERS.includes(item.reads)).map(item => [item.name, item])).values()
  ];
  const inputs = linear.filter(item => item.reads === 'mlp input');
  const up = inputs[inputs.length - 1];
  const down = linear.find(item => item.reads === 'product');
  if (up === undefined || down === undefined) {
    return around;
  }
  const isPair = inputs.length > 1;
  const steps = shapes.gated ? (isPair ? 3 : 4) * out : run.autocast ? 2 * out + 8 : 4 * out;
  const gate = isPair ? out * up.outputs : 0;
  const fused = shapes.gated && !isPair ? out * up.outputs : 0;
  return (
    around +
    Math.max(
      gate * read + linearMoment(shapes, settings, run, up),
      steps * shapes.intermediate * read,
      (out * shapes.intermediate + fused) * read + linearMoment(shapes, settings, run, down)
    )
  );
}

/** Highest bytes of a linear module beside its input, with its adapter. */
function linearMoment(shapes: Shapes, settings: Settings, run: Pass, item: Linear): number {
  const types = typesOf(shapes, settings, run.autocast);
  const read = readOf(run);
  const given = item.reads === 'product' ? types.out : types.normed;
  const lowered = run.autocast && given === 4 ? 2 * item.inputs * read : 0;
  const matrix = item.inputs * item.outputs;
  const dequantised = settings.quantisation === 'nf4' ? types.product * matrix : 0;
  const result = types.out * item.outputs * read;
  const plain = result + Math.max(lowered, dequantised);
  const same = (found: Linear): boolean => found.name === item.name && found.reads === item.reads;
  if (!run.adapted || !targetsOf(shapes, settings).some(same)) {
    return plain;
  }
  const copied = given !== types.adapter ? types.adapter * item.inputs * read : 0;
  const isDora = settings.adapter === 'dora';
  const adding = added(settings, types) * item.outputs * read + (isDora ? 8 * matrix : 0);
  const unit = isDora ? result + 4 * item.inputs ** 2 + 4 * matrix : 0;
  const first = Math.max(result + entering(settings, run, types) * item.inputs * read, unit);
  return Math.max(plain, copied + Math.max(adding, first));
}

/** Bytes while a layer's experts run: for one token a row the weights of its experts are gathered. */
function expertsMoment(shapes: Shapes, experts: Experts, settings: Settings, run: Pass): number {
  const { product } = typesOf(shapes, settings, run.autocast);
  const matrix = shapes.hidden * experts.intermediate;
  const summed = run.adapted && targetsOf(shapes, settings).some(item => item.reads === 'expert');
  const weights = summed ? product * matrix * experts.count : 0;
  if (run.cached && run.tokens === 1) {
    return 3 * (weights + product * matrix * experts.chosen * run.rows);
  }
  const each = product * experts.chosen * readOf(run);
  return Math.max(
    (4 * experts.intermediate + shapes.hidden) * each + 2 * weights,
    4 * shapes.hidden * each + 3 * weights
  );
}

function attentionMoment(shapes: Shapes, settings: Settings, run: Pass): number {
  const types = typesOf(shapes, settings, run.autocast);
  const { out, roped } = types;
  const query = queryWidth(shapes);
  const key = keyWidth(shapes);
  const kernel = run.autocast ? 2 : roped;
  const fused = shapes.modules.some(item => item.name === 'qkv_proj') ? out * (query + 2 * key) : 0;
  const own = run.cached ? 0 : (roped + out) * key;
  const read = readOf(run);
  const around = (streams(shapes, types, 0) + roped * query + fused + own) * read;
  const kept = run.cached ? roped : out;
  if (settings.attention === 'eager') {
    const repeated = isGrouped(shapes) ? (roped + kept) * query * run.rows * run.keys : 0;
    return around + repeated + (2 * kernel + 4) * shapes.heads * read * run.keys;
  }
  const given = around + kernel * query * read;
  if (settings.attention === 'flash_attention_2') {
    return given + (run.masked ? 3 * kernel * key * run.rows * run.keys : 0);
  }
  return given + fusedAttention(shapes, run, roped, kept);
}

const isGrouped = (shapes: Shapes): boolean => shapes.kv_heads > 1 && shapes.kv_heads < shapes.heads;

/** Bytes of repeated keys and values, of their copies in the kernel's type, and of a mask. */
function fusedAttention(shapes: Shapes, run: Pass, roped: number, kept: number): number {
  const kernel = run.autocast ? 2 : roped;
  const keys = run.rows * run.keys;
  const query = queryWidth(shapes);
  const repeats = isGrouped(shapes) && run.masked && run.tokens > 1;
  const repeated = repeats ? (roped + kept) * query * keys : 0;
  const wide = repeats ? query : keyWidth(shapes);
  const values = kept === kernel ? 0 : kernel * wide * keys;
  const cast = kernel === roped ? 0 : kernel * (query * readOf(run) + wide * keys) + values;
  const padded = Math.ceil(run.keys / PAIR_MULTIPLE) * PAIR_MULTIPLE;
  return repeated + cast + (run.masked ? kernel * readOf(run) * padded : 0);
}
