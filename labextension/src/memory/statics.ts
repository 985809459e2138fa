/** Bytes that live through the whole step: the twin of workbench/memory/statics.py and of `Architecture.targets`. */
import { optimizerOf, stateOf } from './optimizers';
import type { Trained } from './optimizers';
import type { Linear, Settings, Shapes } from './shapes';
import { restBytes, sum, trainedBytes, trainsAll, UnknownError } from './shapes';

/** Linear modules that get a LoRA adapter. */
export function targetsOf(shapes: Shapes, settings: Settings): readonly Linear[] {
  if (trainsAll(settings)) {
    return [];
  }
  const names = typeof settings.targets === 'string' ? [settings.targets] : settings.targets;
  const unknown = names.find(name => !shapes.modules.some(item => item.targets.includes(name)));
  if (unknown !== undefined) {
    throw new UnknownError(`target_modules names '${unknown}', which no ${shapes.family} layer has.`);
  }
  const found = shapes.modules.filter(item => item.targets.some(word => names.includes(word)));
  if ((settings.adapter === 'dora' || settings.dropout) && found.some(item => item.reads === 'expert')) {
    throw new UnknownError(`PEFT adapts the experts of ${shapes.family} neither with DoRA nor with dropout.`);
  }
  return found;
}

/** Elements of all LoRA matrices, and of DoRA's magnitudes. */
export function adapterParameters(shapes: Shapes, settings: Settings): number {
  return sum(targetsOf(shapes, settings).map(item => adapted(item, settings)));
}

function adapted(item: Linear, settings: Settings): number {
  const magnitude = settings.adapter === 'dora' ? item.outputs : 0;
  return item.copies * (settings.rank * item.ranks * item.experts * (item.inputs + item.outputs) + magnitude);
}

/** Bytes of the base weights, with what their quantisation needs. */
export function weightBytes(shapes: Shapes, settings: Settings): number {
  const head = shapes.parameters.head ?? 0;
  const total = shapes.total + (settings.method === 'reward' ? shapes.hidden - head : 0);
  if (settings.quantisation === 'none') {
    return total * settings.weight_bytes;
  }
  const quantised = shapes.modules.filter(item => item.reads !== 'expert');
  const weights = sum(quantised.map(item => item.copies * item.inputs * item.outputs));
  const packed = sum(quantised.map(item => item.copies * packedBytes(item, settings.quantisation)));
  return packed + (total - weights) * restBytes(settings);
}

/** Bytes of one quantised weight, with its scales. */
export function packedBytes(item: Linear, kind: string): number {
  const count = item.inputs * item.outputs;
  if (kind === 'int8') {
    return count + 4 * item.outputs;
  }
  const blocks = Math.ceil(count / 64);
  return Math.floor((count + 1) / 2) + blocks + 4 * Math.ceil(blocks / 256) + 4 * (256 + 16 + 1);
}

/** Tensors that train and get a gradient, where rows are text. */
export function trainedTensors(shapes: Shapes, settings: Settings): readonly Trained[] {
  if (trainsAll(settings)) {
    return weightTensors(shapes, settings.method === 'reward');
  }
  return targetsOf(shapes, settings).flatMap(item => {
    const rank = settings.rank * item.ranks * item.experts;
    const made: Trained[] = [
      [rank, item.inputs, item.copies],
      [item.outputs, rank, item.copies]
    ];
    return settings.adapter === 'dora' ? [...made, [item.outputs, 1, item.copies] as const] : made;
  });
}

function weightTensors(shapes: Shapes, reward: boolean): readonly Trained[] {
  const { head_dim: dim, heads, hidden, kv_heads: kvHeads, layers, vocab } = shapes;
  const found: Trained[] = [[vocab, hidden, 1]];
  if (reward) {
    found.push([hidden, 1, 1]);
  } else if (!shapes.tied) {
    found.push([vocab, hidden, 1]);
  }
  for (const item of shapes.modules.filter(each => each.reads !== 'tower')) {
    found.push([item.experts * item.outputs, item.inputs, item.copies]);
    if (item.bias) {
      found.push([item.outputs, 1, item.copies]);
    }
  }
  found.push([hidden, 1, (shapes.norm === 'layer' ? 2 : 1) * (shapes.norms * layers + 1)]);
  if (shapes.qk_norm) {
    const whole = shapes.qk_norm === 'whole';
    found.push([whole ? heads * dim : dim, 1, layers], [whole ? kvHeads * dim : dim, 1, layers]);
  }
  return shapes.head_bias && !reward ? [...found, [vocab, 1, 1]] : found;
}

/** Elements that get a gradient. */
export function trainedParameters(shapes: Shapes, settings: Settings): number {
  return sum(trainedTensors(shapes, settings).map(([rows, columns, copies]) => rows * columns * copies));
}

/** Bytes of the optimizer's state on the device. */
export function stateBytes(shapes: Shapes, settings: Settings): number {
  const untied = shapes.tied || settings.method === 'reward' ? 1 : 2;
  const embeddings = trainsAll(settings) ? untied : 0;
  const tensors = trainedTensors(shapes, settings);
  return stateOf(optimizerOf(settings.optim), tensors, trainedBytes(settings), embeddings, settings.device);
}
