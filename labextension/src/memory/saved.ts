/** What one training step keeps for its backward pass: the twin of workbench/memory/saved.py. */
import type { Linear, Settings, Shapes, Term } from './shapes';
import { rounded, sum, UnknownError } from './shapes';

/** Bytes saved for backward: a layer and token, a layer and pair of tokens, a token behind the last layer. */
export interface Coefficients {
  readonly layerToken: number;
  readonly layerPair: number;
  readonly tailToken: number;
  readonly pairMultiple: number;
  readonly constant: number;
  readonly terms: readonly Term[];
}

export function computeBytes(settings: Settings): number {
  return settings.autocast ? 2 : settings.weight_bytes;
}

export function trainsAll(settings: Settings): boolean {
  return settings.adapter === 'none';
}

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

/** Bytes that one layer saves. */
export function layerBytes(found: Coefficients, settings: Settings): number {
  const tokens = settings.rows * settings.length;
  const keys = Math.ceil(settings.length / found.pairMultiple) * found.pairMultiple;
  return rounded(found.layerToken * tokens + found.layerPair * tokens * keys);
}

export function coefficients(shapes: Shapes, settings: Settings): Coefficients {
  const { hidden } = shapes;
  const w = settings.weight_bytes;
  const terms = [
    norms(shapes, settings),
    attention(shapes, settings),
    { name: 'mlp', bytes: 3 * computeBytes(settings) * shapes.intermediate, formula: '3 c I: gate, up and silu(gate)' },
    linearInputs(shapes, settings),
    adapters(shapes, settings)
  ];
  return {
    layerToken: sum(terms.map(term => term.bytes)),
    layerPair: pairBytes(shapes, settings),
    tailToken: 4 * hidden + 4 + (trainsAll(settings) ? w * hidden : 0) + w * hidden,
    pairMultiple: settings.attention === 'sdpa' && settings.device === 'cuda' ? 16 : 1,
    constant: autocastCopies(shapes, settings),
    terms
  };
}

function autocastCopies(shapes: Shapes, settings: Settings): number {
  if (!settings.autocast) {
    return 0;
  }
  const linear = (shapes.parameters.attention ?? 0) + (shapes.parameters.mlp ?? 0);
  const base = settings.weight_bytes === 4 ? linear : 0;
  return 2 * (base + adapterParameters(shapes, settings));
}

function norms(shapes: Shapes, settings: Settings): Term {
  const { heads, kv_heads: kvHeads, head_dim: dim, hidden } = shapes;
  const full = trainsAll(settings);
  const inner = shapes.qk_norm ? [heads * dim, kvHeads * dim] : [];
  const counts = shapes.qk_norm ? 2 + heads + kvHeads : 2;
  const trained = full ? 2 * settings.weight_bytes * hidden + computeBytes(settings) * sum(inner) : 0;
  const formula = 'sum over norms of 4 width + 4' + (full ? ' + one product a norm' : '');
  return { name: 'norms', bytes: 4 * (2 * hidden + sum(inner)) + 4 * counts + trained, formula };
}

function attention(shapes: Shapes, settings: Settings): Term {
  const c = computeBytes(settings);
  const query = shapes.heads * shapes.head_dim;
  if (settings.attention === 'eager') {
    const formula = 'c (q + repeated k + repeated v); the weights are counted by pair';
    return { name: 'attention', bytes: 3 * c * query, formula };
  }
  const repeated = settings.masked && settings.attention === 'sdpa';
  const kv = repeated ? query : shapes.kv_heads * shapes.head_dim;
  const formula = `c (q + out + 2 ${repeated ? 'repeated kv' : 'kv'}) + 4 heads`;
  return { name: 'attention', bytes: c * (2 * query + 2 * kv) + 4 * shapes.heads, formula };
}

function linearInputs(shapes: Shapes, settings: Settings): Term {
  if (!trainsAll(settings)) {
    return { name: 'linear inputs', bytes: 0, formula: '0: frozen weights keep no input' };
  }
  const c = computeBytes(settings);
  const copies = c === settings.weight_bytes ? 2 : 5;
  const output = settings.attention === 'eager' ? c * shapes.heads * shapes.head_dim : 0;
  const formula = `c (${copies} H + I)` + (output ? ' + c q' : '');
  return { name: 'linear inputs', bytes: copies * c * shapes.hidden + c * shapes.intermediate + output, formula };
}

function adapters(shapes: Shapes, settings: Settings): Term {
  const targets = targetsOf(shapes, settings);
  if (!targets.length) {
    return { name: 'lora inputs', bytes: 0, formula: '0: no adapter' };
  }
  const shared = !settings.autocast && settings.weight_bytes === 4 && !settings.dropout;
  const cost = settings.autocast ? 2 : 4;
  const all = sum(targets.map(target => target.inputs));
  const inputs = shared ? sharedInputs(shapes, new Set(targets.map(target => target.name)), settings) : all;
  const mask = settings.device === 'cuda' ? 1 : 4;
  const dropped = settings.dropout ? mask * all : 0;
  const formula = `${cost} (inputs + targets r)` + (dropped ? ` + ${mask} a dropped input` : '');
  return { name: 'lora inputs', bytes: cost * (inputs + targets.length * settings.rank) + dropped, formula };
}

function sharedInputs(shapes: Shapes, names: ReadonlySet<string>, settings: Settings): number {
  const reads = (...modules: readonly string[]): boolean => modules.some(name => names.has(name));
  return (
    (reads('q_proj', 'k_proj', 'v_proj') ? shapes.hidden : 0) +
    (reads('o_proj') && settings.attention === 'eager' ? shapes.heads * shapes.head_dim : 0) +
    (reads('gate_proj', 'up_proj') ? shapes.hidden : 0) +
    (reads('down_proj') ? shapes.intermediate : 0)
  );
}

function pairBytes(shapes: Shapes, settings: Settings): number {
  const c = computeBytes(settings);
  if (settings.attention === 'eager') {
    return (c === 4 ? 4 : 4 + c) * shapes.heads;
  }
  return settings.masked && settings.attention === 'sdpa' ? c : 0;
}
