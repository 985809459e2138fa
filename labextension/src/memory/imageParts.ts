/** Parts of the closed form that images add: the twin of workbench/memory/image_parts.py. */
import { rankOf } from './reached';
import type { Coefficients } from './saved';
import { coefficients, layerBytes, unsavedBytes } from './saved';
import type { Linear, Part, Settings, Shapes, Vision } from './shapes';
import { adapterBytes, computeBytes, restBytes, sequencesOf, sum, tokensOf, trainsAll, UnknownError } from './shapes';
import { targetsOf } from './statics';
import type { Step } from './step';
import { layerBackward, layerForward, part, stepOf } from './step';

const IMAGE_TOKENS = 256;
const READS: Readonly<Record<string, string>> = {
  q_proj: 'attention input',
  k_proj: 'attention input',
  v_proj: 'attention input',
  qkv: 'attention input',
  out_proj: 'attention output',
  proj: 'attention output',
  fc1: 'mlp input',
  gate_proj: 'mlp input',
  up_proj: 'mlp input',
  fc2: 'product',
  down_proj: 'product'
};

/** Images of the largest micro batch: an image is a row of the tower's step, a patch a token. */
interface Images {
  readonly vision: Vision;
  readonly settings: Settings;
  readonly saved: Coefficients;
  readonly layer: Step;
  readonly tokens: number;
  readonly trained: readonly Linear[];
  readonly projector: readonly Linear[];
}

function imagesOf(shapes: Shapes, settings: Settings): Images | null {
  const { vision } = shapes;
  if (!settings.images) {
    return null;
  }
  if (!vision) {
    throw new UnknownError(`The formula does not know images of '${shapes.family}'.`);
  }
  const tower = targetsOf(shapes, settings).filter(item => item.reads === 'tower');
  const trained = tower.filter(isInLayer).map(ofLayer);
  const tokens = vision.tokens || settings.image_tokens || IMAGE_TOKENS;
  const reads = [...new Set(trained.map(item => item.reads))].sort();
  const seen: Settings = {
    ...settings,
    rows: sequencesOf(settings) * settings.images,
    length: vision.patches || tokens * vision.merged,
    method: 'sft',
    masked: false,
    packed: false,
    kernels: [],
    images: 0,
    outputs_kept: false,
    reached: trainsAll(settings) ? null : { modules: trained, own: [], first: 0, reads, lora_bias: false }
  };
  const saved = coefficients(vision.tower, seen);
  const projector = tower.filter(item => !isInLayer(item));
  const layer = stepOf(vision.tower, seen, saved);
  return { vision, settings: seen, saved, layer, tokens: tokens * seen.rows, trained, projector };
}

const isInLayer = (item: Linear): boolean => item.path.includes('{}');

function ofLayer(item: Linear): Linear {
  return { ...item, reads: READS[item.name] ?? item.reads, name: item.name === 'qkv' ? 'qkv_proj' : item.name };
}

/** What images add; nothing without any. */
export function imageParts(step: Step): readonly Part[] {
  const found = imagesOf(step.shapes, step.settings);
  if (!found) {
    return [];
  }
  const { settings, vision } = found;
  const count = vision.patches ? settings.rows : tokensOf(settings);
  const source = 'pixel values in float32';
  return [
    part('pixels', 4 * vision.pixels * count, '4 bytes x values', { images: settings.rows }, source),
    kept(found),
    between(step, found),
    outputs(step, found),
    backward(found)
  ];
}

/** Whether the tower's output asks for a gradient. */
function flows({ settings, trained }: Images): boolean {
  return trainsAll(settings) || trained.length > 0 || settings.checkpointing;
}

function kept(found: Images): Part {
  const { saved, settings, vision } = found;
  const all = vision.used * towerLayerBytes(found);
  const unsaved = settings.checkpointing ? 0 : unsavedBytes(saved, vision.tower, settings);
  return part(
    'vision activations',
    flows(found) ? Math.max(0, all - unsaved) : 0,
    'layers x bytes a patch x patches',
    { layers: vision.used, patches: tokensOf(settings), 'bytes a patch': saved.layerToken },
    "a tower keeps what a decoder's layers would; nothing where nothing in it trains"
  );
}

function between(step: Step, found: Images): Part {
  const { settings } = found;
  const merged = settings.checkpointing ? restBytes(settings) * step.shapes.hidden * step.tokens : 0;
  return part(
    'projector activations',
    merged + (flows(found) || found.projector.length ? projectorBytes(found) : 0),
    'bytes a token x image tokens, and the embedding where layers are checkpointed',
    { tokens: found.tokens, merged },
    'norms, activation and adapters of the projector'
  );
}

/** Bytes that a layer of the tower keeps until backward. */
function towerLayerBytes({ saved, settings, vision }: Images): number {
  if (!settings.checkpointing) {
    return layerBytes(saved, settings);
  }
  return (vision.states ? wide(settings) : restBytes(settings)) * vision.tower.hidden * tokensOf(settings);
}

/** Bytes of what torch's LayerNorm gives. */
function wide(settings: Settings): number {
  return settings.autocast ? 4 : restBytes(settings);
}

function projectorBytes({ projector, settings, tokens, vision }: Images): number {
  const c = computeBytes(settings);
  const { hidden } = vision.tower;
  const patches = tokensOf(settings);
  const cost = settings.autocast || adapterBytes(settings) === 2 ? 2 : 4;
  const normed = vision.normed ? (4 * hidden + 8) * patches : 0;
  const pooled = vision.pooled ? ((wide(settings) + 4) * hidden + 8) * patches + 4 * hidden * tokens : 0;
  const full = trainsAll(settings) ? c * (vision.middle + hidden * Math.max(1, vision.merged)) * tokens : 0;
  const adapters = projector.map(item => cost * (item.inputs + rankOf(item, settings)) * tokens);
  return c * vision.middle * tokens + normed + pooled + full + sum(adapters);
}

function outputs(step: Step, found: Images): Part {
  const { settings, vision } = found;
  const width = vision.states ? wide(settings) : restBytes(settings);
  const hidden = width * vision.tower.hidden * tokensOf(settings);
  const states = (vision.states ? vision.tower.layers + 1 : 2) * hidden;
  const features = restBytes(settings) * step.shapes.hidden * found.tokens;
  const unread = flows(found) ? (vision.tower.layers - vision.used) * towerLayerBytes(found) : 0;
  return part(
    'vision outputs',
    states + features + unread,
    'hidden states of the tower + features',
    { states, features, 'unread layers': unread },
    "the model's forward holds what the tower gave back"
  );
}

function backward(found: Images): Part {
  const { layer, saved, settings } = found;
  const forward = settings.checkpointing ? layerForward(layer) : 0;
  const again = settings.checkpointing ? layerBytes(saved, settings) : 0;
  return part(
    'vision layer',
    flows(found) ? again + Math.max(forward, layerBackward(layer)) : 0,
    'what a layer of the tower keeps, and its temporaries',
    { patches: tokensOf(settings) },
    "the tower's backward comes after the decoder's"
  );
}
