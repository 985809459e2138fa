/** What kernels of other tools change in the closed form: the twin of workbench/memory/fused.py. */
import { rankOf } from './reached';
import type { Fused } from './kernels';
import { NOTHING, fusedOf } from './kernels';
import type { Linear, Settings, Shapes } from './shapes';
import { computeBytes, restBytes, sum, tokensOf, trainsAll } from './shapes';
import { targetsOf } from './statics';

const MLP: readonly string[] = ['gate_proj', 'up_proj', 'down_proj'];
const QKV: readonly string[] = ['q_proj', 'k_proj', 'v_proj'];
const O: readonly string[] = ['o_proj'];

/** What the kernels of the settings replace in this model with this adapter. */
export function applied(shapes: Shapes, settings: Settings): Fused {
  if (!settings.kernels?.length) {
    return NOTHING;
  }
  const found = fusedOf(settings.kernels);
  const targets = new Map(targetsOf(shapes, settings).map(item => [item.name, item]));
  const refused = found.plain && (settings.adapter === 'dora' || settings.dropout);
  const fits = (wanted: boolean, modules: readonly string[]): boolean =>
    wanted && !refused && allOf(targets, modules, found.plain);
  const dense = shapes.gated && !shapes.experts;
  const mlp = fits(found.mlp, MLP);
  return {
    ...found,
    norms: found.norms && shapes.norm !== 'layer' && !(found.plain && trainsAll(settings)),
    glu: found.glu && dense && !mlp,
    mlp: mlp && dense,
    qkv: fits(found.qkv, QKV),
    o: fits(found.o, O)
  };
}

function allOf(targets: ReadonlyMap<string, Linear>, modules: readonly string[], plain: boolean): boolean {
  return modules.every(name => targets.has(name) && !(plain && targets.get(name)?.bias));
}

/** Modules whose LoRA runs inside of a kernel. */
export function joined(fused: Fused): ReadonlySet<string> {
  return new Set([...(fused.mlp ? MLP : []), ...(fused.qkv ? QKV : []), ...(fused.o ? O : [])]);
}

/** Bytes a token and layer that fused norms keep. */
export function normBytes(shapes: Shapes, settings: Settings): number {
  const { heads, kv_heads: kvHeads, head_dim: dim } = shapes;
  const inner = shapes.qk_norm ? (heads + kvHeads) * dim : 0;
  const counts = shapes.qk_norm === 'head' ? heads + kvHeads : shapes.qk_norm ? 2 : 0;
  const stream = restBytes(settings) * shapes.norms * shapes.hidden;
  return stream + computeBytes(settings) * inner + 4 * (shapes.norms + counts);
}

/** Bytes a token and layer that LoRA kernels keep, without gate and up. */
export function loraBytes(shapes: Shapes, settings: Settings, fused: Fused): number {
  const { hidden, intermediate } = shapes;
  const c = computeBytes(settings);
  const rest = restBytes(settings);
  const query = shapes.heads * shapes.head_dim;
  const key = shapes.kv_heads * shapes.head_dim;
  const output = settings.attention === 'eager' ? c * query : 0;
  const rows: readonly (readonly [boolean, number, number, number])[] = [
    [fused.mlp, rest * hidden, 2 * intermediate + hidden, hidden],
    [fused.qkv, rest * hidden, query + 2 * key, hidden],
    [fused.o, output, hidden, query]
  ];
  return sum(
    rows
      .filter(([on]) => on)
      .map(([, inputs, outputs, width]) => {
        const dropped = settings.dropout ? (rest + 1) * width : 0;
        return inputs + dropped + (settings.adapter === 'dora' ? c * outputs : 0);
      })
  );
}

/** Elements of the adapter that run inside of kernels. */
export function adapterCopies(shapes: Shapes, settings: Settings, fused: Fused): number {
  const inside = joined(fused);
  const items = targetsOf(shapes, settings).filter(item => inside.has(item.name));
  return sum(items.map(item => item.copies * rankOf(item, settings) * (item.inputs + item.outputs)));
}

/** Bytes above what a layer keeps while the joined MLP runs: forward, and backward. */
export function mlpTemporaries(shapes: Shapes, settings: Settings, fused: Fused): readonly [number, number] {
  const { hidden, intermediate } = shapes;
  const c = computeBytes(settings);
  const tokens = tokensOf(settings);
  const weight = settings.quantisation === 'nf4' ? c * hidden * intermediate : 0;
  const outgoing = fused.copies ? c * hidden : 0;
  const beside = fused.beside ? c * intermediate : 0;
  const forward = (c * intermediate + 2 * c * hidden) * tokens + weight;
  return [forward, (c * intermediate + restBytes(settings) * hidden + outgoing + beside) * tokens + weight];
}
