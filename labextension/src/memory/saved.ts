/** What one training step keeps for its backward pass: the twin of workbench/memory/saved.py. */
import { adapterCopies, applied, joined, loraBytes, normBytes } from './fused';
import type { Fused } from './kernels';
import { idleLayers, rankOf, unsaved } from './reached';
import type { Experts, Linear, Settings, Shapes, Term } from './shapes';
import { adapterBytes, computeBytes, outputBytes, restBytes, rounded, sum, tokensOf, trainsAll } from './shapes';
import { adapted, targetsOf } from './statics';

/** Bytes saved for backward: a layer and token, a layer and pair of tokens, a token behind the last layer. */
export interface Coefficients {
  readonly layerToken: number;
  readonly layerPair: number;
  readonly tailToken: number;
  readonly pairMultiple: number;
  readonly constant: number;
  readonly terms: readonly Term[];
  /** Layers that save nothing, and what the first of the others does not save: a token, and times its pairs. */
  readonly idle: number;
  readonly firstToken: number;
  readonly firstPairs: number;
}

/** Bytes that one layer saves. */
export function layerBytes(found: Coefficients, settings: Settings): number {
  return rounded(found.layerToken * tokensOf(settings) + pairsOf(found, settings));
}

function pairsOf(found: Coefficients, settings: Settings): number {
  const keys = Math.ceil(settings.length / found.pairMultiple) * found.pairMultiple;
  return found.layerPair * tokensOf(settings) * keys;
}

/** Bytes that layers do not save because nothing at or below them trains. */
export function unsavedBytes(found: Coefficients, shapes: Shapes, settings: Settings): number {
  const first = rounded(found.firstToken * tokensOf(settings) + found.firstPairs * pairsOf(found, settings));
  return found.idle * layerBytes(found, settings) + (found.idle < shapes.layers ? first : 0);
}

export function coefficients(shapes: Shapes, settings: Settings): Coefficients {
  const { hidden } = shapes;
  const fused = applied(shapes, settings);
  const [kept, between] = [attention(shapes, settings), mlp(shapes, settings, fused)];
  const terms = [
    norms(shapes, settings, fused),
    kept,
    between,
    linearInputs(shapes, settings),
    adapters(shapes, settings, fused)
  ];
  const bytes = { attention: kept.bytes, mlp: between.bytes, norm: fused.norms ? restBytes(settings) : 4 };
  const [firstToken, firstPairs] = unsaved(shapes, settings, targetsOf(shapes, settings), bytes);
  const products = trainsAll(settings) ? (shapes.norm === 'gemma' ? 4 : restBytes(settings)) * hidden : 0;
  return {
    layerToken: sum(terms.map(term => term.bytes)),
    layerPair: pairBytes(shapes, settings),
    tailToken: fused.norms ? restBytes(settings) * hidden + 4 : 4 * hidden + 4 + products,
    pairMultiple: settings.attention === 'sdpa' && settings.device === 'cuda' ? 16 : 1,
    constant: autocastCopies(shapes, settings),
    terms,
    idle: idleLayers(settings),
    firstToken,
    firstPairs
  };
}

function autocastCopies(shapes: Shapes, settings: Settings): number {
  const fused = applied(shapes, settings);
  const inside = adapterBytes(settings) === 4 ? adapterCopies(shapes, settings, fused) : 0;
  const own = fused.copies && computeBytes(settings) === 2 ? inside : 0;
  if (!settings.autocast) {
    return 2 * own;
  }
  const copied = settings.weight_bytes === 4 && settings.quantisation === 'none';
  const away = settings.images ? ['embedding'] : ['embedding', 'tower'];
  const multiplied = targetsOf(shapes, settings).filter(item => !away.includes(item.reads));
  const tower = shapes.modules.filter(item => settings.images && item.reads === 'tower');
  const base = linearParameters(shapes) + sum(tower.map(item => item.copies * parametersOf(item)));
  const adapter = adapterBytes(settings) === 4 ? sum(multiplied.map(item => adapted(item, settings))) : 0;
  return 2 * ((copied ? base : 0) + adapter - inside + own);
}

/** Weight and bias elements of one copy. */
function parametersOf(item: Linear): number {
  return item.experts * item.inputs * item.outputs + (item.bias ? item.outputs : 0);
}

/** Parameters of the linear modules of all decoder layers. */
export function linearParameters(shapes: Shapes): number {
  return (shapes.parameters.attention ?? 0) + (shapes.parameters.mlp ?? 0);
}

/** Bytes a token and layer that 8-bit products keep for their own backward, which checkpointing does not see. */
export function keptInputs(shapes: Shapes, settings: Settings): number {
  return settings.quantisation === 'int8' ? restBytes(settings) * (2 * shapes.hidden + shapes.intermediate) : 0;
}

/** Whether LoRA adapts experts. */
export function adaptsExperts(shapes: Shapes, settings: Settings): boolean {
  return targetsOf(shapes, settings).some(item => item.reads === 'expert');
}

function norms(shapes: Shapes, settings: Settings, fused: Fused): Term {
  if (fused.norms) {
    const formula = 'sum over norms of w width + 4: their kernel keeps what it reads';
    return { name: 'norms', bytes: normBytes(shapes, settings), formula };
  }
  const { heads, kv_heads: kvHeads, head_dim: dim } = shapes;
  const full = trainsAll(settings);
  const rest = restBytes(settings);
  const stream = shapes.norms * shapes.hidden;
  if (shapes.norm === 'layer') {
    const wide = settings.autocast ? 4 : rest;
    return { name: 'norms', bytes: wide * stream + 8 * shapes.norms, formula: 'norms (4 H + 8)' };
  }
  const inner = shapes.qk_norm ? heads * dim + kvHeads * dim : 0;
  const counts = shapes.qk_norm === 'head' ? heads + kvHeads : shapes.qk_norm ? 2 : 0;
  const products = shapes.norm === 'gemma' ? 4 * (stream + inner) : rest * stream + computeBytes(settings) * inner;
  const formula = 'sum over norms of 4 width + 4' + (full ? ' + one product a norm' : '');
  const bytes = 4 * (stream + inner) + 4 * (shapes.norms + counts) + (full ? products : 0);
  return { name: 'norms', bytes, formula };
}

function attention(shapes: Shapes, settings: Settings): Term {
  const c = computeBytes(settings);
  const query = shapes.heads * shapes.head_dim;
  const key = shapes.kv_heads * shapes.head_dim;
  if (settings.attention === 'eager') {
    const formula = 'c (q + repeated k + repeated v); the weights are counted by pair';
    return { name: 'attention', bytes: 3 * c * query, formula };
  }
  const repeated = settings.masked && settings.attention === 'sdpa';
  const kv = repeated && shapes.kv_heads > 1 ? query : key;
  const joined = shapes.modules.some(item => item.name === 'qkv_proj');
  const fused = joined && !(repeated && shapes.heads !== shapes.kv_heads);
  const whole = fused ? c * (query + key) : 0;
  const formula = `c (q + out + 2 ${repeated ? 'repeated kv' : 'kv'}) + 4 heads` + (fused ? ' + c (q + k)' : '');
  return { name: 'attention', bytes: c * (2 * query + 2 * kv) + 4 * shapes.heads + whole, formula };
}

function mlp(shapes: Shapes, settings: Settings, fused: Fused): Term {
  const out = outputBytes(settings);
  if (shapes.experts) {
    return expertsTerm(shapes, shapes.experts, settings);
  }
  if (fused.glu || fused.mlp) {
    const each = fused.mlp ? computeBytes(settings) : out;
    const formula = '2 o I: gate and up, whose kernel makes the activation again';
    return { name: 'mlp', bytes: 2 * each * shapes.intermediate, formula };
  }
  if (shapes.gated) {
    return { name: 'mlp', bytes: 3 * out * shapes.intermediate, formula: '3 o I: gate, up and its activation' };
  }
  const steps = settings.autocast ? 12 + out : 4 * out;
  const cost = shapes.gelu === 'steps' ? steps : shapes.gelu === 'quick' ? 2 * out : out;
  return { name: 'mlp', bytes: cost * shapes.intermediate, formula: `${cost} I: the steps of gelu` };
}

function expertsTerm(shapes: Shapes, experts: Experts, settings: Settings): Term {
  const c = computeBytes(settings);
  const dense = shapes.layers - experts.layers;
  const inputs = trainsAll(settings) || adaptsExperts(shapes, settings) ? experts.intermediate + shapes.hidden : 0;
  const kept = 3 * experts.intermediate + shapes.hidden + inputs;
  const sparse = c * experts.chosen * kept + 3 * c * experts.shared + 20 * experts.chosen + 8 * experts.count;
  const total = experts.layers * sparse + dense * 3 * c * shapes.intermediate;
  const formula = 'c chosen (3 I + H, and I + H where experts train) + 3 c shared, a layer';
  return { name: 'mlp', bytes: total / shapes.layers, formula };
}

function linearInputs(shapes: Shapes, settings: Settings): Term {
  const name = 'linear inputs';
  if (settings.quantisation === 'int8') {
    const formula = 'w (2 H + I): 8-bit products keep what they read';
    return { name, bytes: keptInputs(shapes, settings), formula };
  }
  if (!trainsAll(settings)) {
    return { name, bytes: 0, formula: '0: frozen weights keep no input' };
  }
  const c = computeBytes(settings);
  const copies = inputCopies(shapes, settings);
  const output = settings.attention === 'eager' ? c * shapes.heads * shapes.head_dim : 0;
  const product = shapes.experts ? 0 : c * shapes.intermediate;
  const formula = `c (${copies} H + I)` + (output ? ' + c q' : '');
  return { name, bytes: copies * c * shapes.hidden + product + output, formula };
}

/** Tensors that keep the inputs of attention and MLP: one in place, or a copy for every module that reads it. */
function inputCopies(shapes: Shapes, settings: Settings): number {
  const names = new Map<string, string>();
  for (const item of shapes.modules) {
    if (item.reads === 'attention input' || item.reads === 'mlp input') {
      names.set(item.name, item.reads);
    }
  }
  const wider = shapes.norm !== 'layer' || !settings.autocast ? restBytes(settings) : 4;
  if (computeBytes(settings) !== wider) {
    return names.size;
  }
  return shapes.norms > 1 ? new Set(names.values()).size : 1;
}

function adapters(shapes: Shapes, settings: Settings, fused: Fused): Term {
  const own = loraBytes(shapes, settings, fused);
  const inside = joined(fused);
  const targets = targetsOf(shapes, settings).filter(item => OF_LAYERS.includes(item.reads) && !inside.has(item.name));
  if (!targets.length) {
    return { name: 'lora inputs', bytes: own, formula: own ? 'w H for each kernel: its input once' : '0: no adapter' };
  }
  const low = adapterBytes(settings) === 2;
  const rest = restBytes(settings);
  const shared = low ? rest === 2 : !settings.autocast && rest === 4;
  const cost = settings.autocast || low ? 2 : 4;
  const copied = targets.filter(item => !(low && item.reads === 'attention output'));
  const layers = adaptedLayers(shapes, settings);
  const every = sum(copied.map(item => item.inputs * item.copies)) / layers;
  const ranks = sum(targets.map(item => rankOf(item, settings) * item.copies)) / layers;
  const inputs = shared && !settings.dropout ? sharedInputs(targets, settings) : every;
  const mask = settings.device === 'cuda' ? 1 : 4;
  const dropped = settings.dropout ? mask * every : 0;
  const scaled = settings.adapter === 'dora' ? sum(targets.map(item => 2 * computeBytes(settings) * item.outputs)) : 0;
  const formula =
    `${cost} (inputs + targets r)` +
    (dropped ? ` + ${mask} a dropped input` : '') +
    (own ? ' + w H a kernel' : '') +
    (settings.adapter === 'dora' ? ' + what DoRA scales' : '');
  return { name: 'lora inputs', bytes: cost * (inputs + ranks) + dropped + own + scaled, formula };
}

export const OF_LAYERS: readonly string[] = ['attention input', 'attention output', 'mlp input', 'product'];

/** Layers over which adapters are spread evenly: those that save, or with checkpointing one of which is there. */
function adaptedLayers(shapes: Shapes, settings: Settings): number {
  if (!settings.reached) {
    return shapes.layers;
  }
  if (settings.checkpointing) {
    const copies = settings.reached.modules.filter(item => OF_LAYERS.includes(item.reads)).map(item => item.copies);
    return Math.max(1, ...copies);
  }
  return Math.max(1, shapes.layers - idleLayers(settings));
}

function sharedInputs(targets: readonly Linear[], settings: Settings): number {
  const found = new Map(targets.map(item => [item.reads, item.inputs]));
  if (settings.attention !== 'eager') {
    found.delete('attention output');
  }
  return sum([...found.values()]);
}

function pairBytes(shapes: Shapes, settings: Settings): number {
  const c = computeBytes(settings);
  if (settings.attention === 'eager') {
    const softcap = shapes.softcap ? 2 * c : 0;
    return (c === 4 ? 4 : 4 + c) * shapes.heads + softcap * shapes.heads;
  }
  return settings.masked && settings.attention === 'sdpa' ? c : 0;
}
