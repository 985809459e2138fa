/** Bytes that live through the whole step: the twin of workbench/memory/statics.py and of `Architecture.targets`. */
import { optimizerOf, stateOf } from './optimizers';
import type { Trained } from './optimizers';
import type { Linear, Settings, Shapes } from './shapes';
import { elementsOf, ownBytes, ownOf, rankOf, vectorsOf } from './reached';
import { ODDS, restBytes, sum, trainedBytes, trainsAll, UnknownError } from './shapes';

/** Linear modules that get a LoRA adapter. */
export function targetsOf(shapes: Shapes, settings: Settings): readonly Linear[] {
  if (trainsAll(settings)) {
    return [];
  }
  if (settings.reached) {
    return settings.reached.modules;
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

/** Elements that adapt all copies of a linear module. */
export function adapted(item: Linear, settings: Settings): number {
  const vectors = vectorsOf(settings) * item.outputs;
  return item.copies * (rankOf(item, settings) * (item.inputs + item.outputs) + vectors);
}

/** Linear modules whose weights bitsandbytes packs. */
export function quantisedModules(shapes: Shapes): readonly Linear[] {
  return shapes.modules.filter(item => item.reads !== 'expert');
}

/** Bytes of the base weights, with what their quantisation needs. */
export function weightBytes(shapes: Shapes, settings: Settings): number {
  const head = shapes.parameters.head ?? 0;
  const total = shapes.total + (settings.method === 'reward' ? shapes.hidden - head : 0);
  if (settings.quantisation === 'none') {
    return total * settings.weight_bytes;
  }
  const quantised = quantisedModules(shapes);
  const weights = sum(quantised.map(item => item.copies * item.inputs * item.outputs));
  const packed = sum(quantised.map(item => item.copies * packedBytes(item, settings.quantisation)));
  const isCast = ODDS.includes(settings.method) && settings.quantisation === 'nf4' && settings.autocast;
  const ends = isCast && restBytes(settings) === 4 ? (shapes.parameters.embedding ?? 0) + head : 0;
  return packed + (total - weights) * restBytes(settings) - 2 * ends;
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

/** Tensors that train and get a gradient: rows of text never reach a vision tower. */
export function trainedTensors(shapes: Shapes, settings: Settings): readonly Trained[] {
  if (trainsAll(settings)) {
    return weightTensors(shapes, settings);
  }
  const reached = targetsOf(shapes, settings).filter(item => seenOf(shapes, item, settings));
  const matrices = reached.flatMap(item => {
    const rank = rankOf(item, settings);
    const copies = seenOf(shapes, item, settings);
    const vectors = Array.from({ length: vectorsOf(settings) }, (): Trained => [item.outputs, 1, copies]);
    return [[rank, item.inputs, copies] as const, [item.outputs, rank, copies] as const, ...vectors];
  });
  return [...matrices, ...ownOf(settings).map((own): Trained => [own.rows, own.columns, own.copies])];
}

function weightTensors(shapes: Shapes, settings: Settings): readonly Trained[] {
  const reward = settings.method === 'reward';
  const { head_dim: dim, heads, hidden, kv_heads: kvHeads, layers, vocab } = shapes;
  const found: Trained[] = [[vocab, hidden, 1]];
  if (reward) {
    found.push([hidden, 1, 1]);
  } else if (!shapes.tied) {
    found.push([vocab, hidden, 1]);
  }
  for (const item of shapes.modules.filter(each => seenOf(shapes, each, settings))) {
    const copies = seenOf(shapes, item, settings);
    found.push([item.experts * item.outputs, item.inputs, copies]);
    if (item.bias) {
      found.push([item.outputs, 1, copies]);
    }
  }
  found.push([hidden, 1, (shapes.norm === 'layer' ? 2 : 1) * (shapes.norms * layers + 1)]);
  if (shapes.qk_norm) {
    const whole = shapes.qk_norm === 'whole';
    found.push([whole ? heads * dim : dim, 1, layers], [whole ? kvHeads * dim : dim, 1, layers]);
  }
  if (shapes.head_bias && !reward) {
    found.push([vocab, 1, 1]);
  }
  return settings.images && shapes.tower ? [...found, [shapes.tower, 1, 1]] : found;
}

/** How many copies of a module a row reaches: of a tower's those that an image's features come through. */
function seenOf({ vision }: Shapes, item: Linear, settings: Settings): number {
  if (item.reads !== 'tower') {
    return item.copies;
  }
  if (!settings.images) {
    return 0;
  }
  return vision && item.path.includes('{}') ? Math.min(item.copies, vision.used) : item.copies;
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
  const own = ownOf(settings);
  const { device, optim } = settings;
  const optimizer = optimizerOf(optim);
  const ends = optim === 'muon' ? ['embedding', 'head'] : ['embedding'];
  const beside = own.map(each =>
    stateOf(
      optimizer,
      [[each.rows, each.columns, each.copies]],
      ownBytes(each, settings),
      ends.includes(each.name) ? 1 : 0,
      device
    )
  );
  const matrices = tensors.slice(0, tensors.length - own.length);
  return stateOf(optimizer, matrices, trainedBytes(settings), embeddings, device) + sum(beside);
}

/** Bytes of all gradients, each in the type of what it belongs to. */
export function gradientBytes(shapes: Shapes, settings: Settings): number {
  const own = ownOf(settings);
  const rest = trainedParameters(shapes, settings) - sum(own.map(elementsOf));
  return rest * trainedBytes(settings) + sum(own.map(each => elementsOf(each) * ownBytes(each, settings)));
}
