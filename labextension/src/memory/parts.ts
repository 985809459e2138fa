/** Parts of the closed form: the twin of workbench/memory/static_parts.py and moving_parts.py. */
import { applied } from './fused';
import { endBytes, headGradientParts, lossPart } from './lossParts';
import { isOnline, refers } from './online';
import { optimizerOf } from './optimizers';
import { offloadedPart } from './offloaded';
import { copiedBytes } from './reached';
import { adaptsExperts, keptInputs, layerBytes, linearParameters, OF_LAYERS, unsavedBytes } from './saved';
import type { Part } from './shapes';
import { adapterBytes, computeBytes, restBytes, rounded, sum, trainedBytes } from './shapes';
import { adapterParameters, stateBytes, targetsOf, trainedTensors, weightBytes } from './statics';
import type { Step } from './step';
import { layerBackward, layerForward, part } from './step';

const WORKSPACE = 2 * (4096 * 2 * 1024 + 16 * 8 * 1024);

/** What lives through the whole step. */
export function staticParts(step: Step): readonly Part[] {
  const { settings, shapes } = step;
  const { quantisation } = settings;
  const adapter = adapterParameters(shapes, settings);
  const copies = copiedBytes(settings);
  const weights = weightBytes(shapes, settings);
  const trained = { trained: step.trained, bytes: trainedBytes(settings) };
  const reference = step.full && refers(settings);
  return [
    part(
      'weights',
      weights,
      quantisation === 'none' ? 'parameters x bytes' : `${quantisation} linear modules + the rest x bytes`,
      { parameters: shapes.total, bytes: restBytes(settings) },
      'config.json'
    ),
    part(
      'adapter',
      adapter * adapterBytes(settings) + copies,
      `sum over targets of r x (in + out) x ${adapterBytes(settings)}` + (copies ? ' + copies' : ''),
      { parameters: adapter, r: settings.rank, ...(copies ? { copies } : {}) },
      'PEFT keeps LoRA matrices in float32; TRL casts them to bfloat16 over quantised weights'
    ),
    part(
      'reference model',
      reference ? weights : 0,
      'weights once more',
      { parameters: shapes.total },
      'with an adapter the reference is the model without it'
    ),
    part('optimizer', stateBytes(shapes, settings), 'trained x bytes of state', trained, `optim=${settings.optim}`),
    part('gradients', step.gradients, 'trained x bytes', trained, 'torch keeps one gradient a trained parameter'),
    part(
      'gradients so far',
      step.gradients - gradientsToCome(step),
      "gradients, less those of the first layer's other modules and of an untied embedding",
      trained,
      "what is there when the first layer's MLP runs backward"
    ),
    batchPart(step),
    part(
      'workspace',
      settings.device === 'cuda' ? WORKSPACE : 0,
      '2 x 8.125 MiB',
      {},
      'cuBLAS keeps one for each thread that multiplies'
    )
  ];
}

/** Bytes of gradients that are not there yet when the first layer's MLP runs backward. */
function gradientsToCome(step: Step): number {
  const { full, headElements, settings, shapes } = step;
  if (!full) {
    return headElements * endBytes(step, 'embedding');
  }
  const whole = Math.floor((linearParameters(shapes) + (shapes.parameters.experts ?? 0)) / shapes.layers);
  const layer = shapes.experts ? whole : whole - shapes.hidden * shapes.intermediate;
  const early = shapes.tied && settings.method !== 'reward';
  return (layer + (early ? 0 : headElements)) * settings.weight_bytes;
}

function batchPart({ settings, shapes, tokens }: Step): Part {
  const masked = settings.masked && settings.attention !== 'flash_attention_2';
  const mask = masked ? tokens * settings.length : 0;
  return part(
    'batch',
    (24 + 2 * restBytes(settings) * shapes.head_dim) * tokens + mask,
    'tokens x (3 x 8 + 2 head_dim w) + tokens x length where masked',
    { tokens, mask },
    'ids, labels and mask in int64, rotary tables, one boolean attention mask'
  );
}

/** What comes and goes within the step. */
export function movingParts(step: Step): readonly Part[] {
  const { saved, settings, shapes, tokens } = step;
  const layer = layerBytes(saved, settings);
  const kept = restBytes(settings) === 4 || applied(shapes, settings).norms;
  const again = kept && settings.checkpointing && shapes.norm !== 'layer' ? restBytes(settings) * shapes.hidden : 0;
  const mlp = { intermediate: shapes.intermediate, tokens };
  return [
    activationsPart(step, layer),
    part(
      'tail',
      rounded(saved.tailToken * tokens),
      'bytes a token x tokens',
      { bytes: saved.tailToken, tokens },
      'the last norm'
    ),
    ...copiesParts(step),
    expertsPart(step),
    part(
      'recomputed layer',
      Math.max(0, layer - (again + keptInputs(shapes, settings)) * tokens),
      'what one layer saves',
      { layer },
      'one layer at a time is there again'
    ),
    part(
      'layer forward',
      layerForward(step),
      "(product + the adapter's float32 copy) I tokens + outputs H tokens",
      mlp,
      'what the last module of the MLP needs while it runs'
    ),
    part(
      'layer backward',
      layerBackward(step),
      "3 o I tokens + w H tokens, less the adapter's input; or one dequantised weight",
      mlp,
      'gradients of gate, up and their product'
    ),
    attentionBackward(step),
    lossPart(step),
    ...headGradientParts(step),
    optimizerTemporaries(step),
    keptOutputs(step)
  ];
}

/** Eager attention's gradients, once the MLP of the layer is done with. */
function attentionBackward({ saved, settings, shapes, tokens }: Step): Part {
  const kept = new Map(saved.terms.map(term => [term.name, term.bytes]));
  const read = targetsOf(shapes, settings).filter(item => OF_LAYERS.includes(item.reads));
  const behind = sum(read.filter(item => !item.reads.startsWith('attention')).map(item => item.inputs * item.copies));
  const whole = sum(read.map(item => item.inputs * item.copies));
  const share = whole ? behind / whole : 0;
  const adapters = (kept.get('lora inputs') ?? 0) * share;
  const mlp = (kept.get('mlp') ?? 0) + adapters + (kept.size ? 4 * shapes.hidden : 0);
  const pairs = settings.attention === 'eager' ? 4 * shapes.heads * settings.length : 0;
  return part(
    'attention backward',
    Math.max(0, rounded((pairs - mlp) * tokens)),
    '4 heads x length x tokens, less what the MLP kept',
    { heads: shapes.heads, tokens },
    "the softmax's gradient comes in float32"
  );
}

function copiesParts({ full, saved, settings, shapes }: Step): readonly Part[] {
  const bytes = rounded(saved.constant);
  const layer = Math.floor(bytes / shapes.layers);
  const reference = full && refers(settings) && !isOnline(settings);
  const last = computeBytes(settings) * shapes.hidden * shapes.intermediate;
  return [
    part(
      'autocast copies',
      settings.checkpointing ? layer : bytes,
      '2 x float32 weights of matrix products',
      { bytes },
      'autocast keeps bfloat16 copies for backward; with checkpointing those of one layer'
    ),
    part(
      'forward copies',
      reference || settings.checkpointing ? bytes * (reference ? 2 : 1) : 0,
      '2 x float32 weights' + (reference ? ', of the reference model too' : ''),
      { bytes },
      'autocast keeps its copies until forward ends, checkpointing or not'
    ),
    part(
      'layer copies',
      full ? Math.max(0, layer - last) : 0,
      '2 x float32 weights of a layer but its last',
      { bytes },
      "autocast's copies of one layer"
    )
  ];
}

function expertsPart({ settings, shapes }: Step): Part {
  const parameters = shapes.parameters.experts ?? 0;
  const bytes = adaptsExperts(shapes, settings) ? computeBytes(settings) * parameters : 0;
  return part(
    'adapted experts',
    settings.checkpointing ? Math.floor(bytes / shapes.layers) : bytes,
    'c x expert parameters',
    { parameters },
    "PEFT adds LoRA's product to the experts' weights, and backward keeps the sums"
  );
}

function activationsPart(step: Step, layer: number): Part {
  const { saved, settings, shapes, tokens } = step;
  const { layers } = shapes;
  const terms = Object.fromEntries(saved.terms.map(term => [term.name, term.bytes]));
  const inputs = { layers, tokens, pair: saved.layerPair, 'bytes a token': saved.layerToken, ...terms };
  if (settings.activation_offloading) {
    return offloadedPart(step);
  }
  if (settings.checkpointing) {
    const output = settings.quantisation === 'int8' ? computeBytes(settings) * shapes.heads * shapes.head_dim : 0;
    const own = keptInputs(shapes, settings) + output;
    return part(
      'activations',
      layers * (restBytes(settings) * shapes.hidden + own) * tokens,
      'layers x hidden x tokens x w',
      inputs,
      'gradient checkpointing keeps the input of every layer'
    );
  }
  return part(
    'activations',
    Math.max(0, layers * layer - unsavedBytes(saved, shapes, settings)),
    'layers x (bytes a token x tokens + pairs), less what nothing below trains for',
    inputs,
    saved.terms.map(term => `${term.name}: ${term.formula}`).join('; ')
  );
}

function optimizerTemporaries(step: Step): Part {
  const { full, gradients, settings, shapes, trained } = step;
  const name = 'optimizer temporaries';
  const source = `optim=${settings.optim}`;
  const optimizer = optimizerOf(settings.optim);
  if (optimizer.largest > 0) {
    const largest = Math.max(0, ...trainedTensors(shapes, settings).map(([rows, columns]) => rows * columns));
    const formula = `${optimizer.largest} x the largest trained tensor in float32: its square and its update`;
    return part(name, 4 * optimizer.largest * largest, formula, { trained }, source);
  }
  if (optimizer.lists === 0) {
    return part(name, 0, '0: updated in place', { trained }, source);
  }
  if (settings.device === 'cuda') {
    const formula = `${optimizer.lists} x trained x bytes: foreach makes lists of all tensors`;
    return part(name, rounded(optimizer.lists * gradients), formula, { trained }, source);
  }
  const widths = trainedTensors(shapes, settings).map(([rows, columns]) => rows * columns);
  const bytes = 2 * trainedBytes(settings) * (full ? step.headElements : Math.max(0, ...widths));
  return part(name, bytes, '2 x the largest trained tensor: one parameter at a time', { trained }, source);
}

function keptOutputs({ settings, shapes, tokens }: Step): Part {
  const c = computeBytes(settings);
  const cached = settings.masked && !settings.checkpointing;
  const cache = cached ? 2 * c * shapes.kv_heads * shapes.head_dim * tokens * shapes.layers : 0;
  return part(
    'kept outputs',
    settings.outputs_kept ? c * shapes.vocab * tokens + cache : 0,
    'c V tokens + 2 c kv tokens layers where masked',
    { tokens },
    'a variable, `_` or `Out[]` that still holds the outputs of the model'
  );
}
