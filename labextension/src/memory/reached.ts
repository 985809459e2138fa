/** What an adapter trains beside LoRA's matrices, and what layers do not keep: twin of first_layer.py and reached.py. */
import type { Linear, Own, Settings, Shapes } from './shapes';
import { adapterBytes, restBytes, trainsAll } from './shapes';

/** Tensors that train and are no matrices of LoRA, whether rows reach them or not. */
export function copiesOf(settings: Settings): readonly Own[] {
  return trainsAll(settings) ? [] : (settings.reached?.own ?? []);
}

/** The same where the rows reach them: rows of text reach no tower. */
export function ownOf(settings: Settings): readonly Own[] {
  return copiesOf(settings).filter(own => settings.images || !own.tower);
}

export const elementsOf = (own: Own): number => own.rows * own.columns * own.copies;

/** Bytes of an element: copies keep the model's type, which TRL makes bfloat16 over quantised ones. */
export function ownBytes(own: Own, settings: Settings): number {
  return own.name === 'tokens' || settings.quantisation !== 'none' ? adapterBytes(settings) : restBytes(settings);
}

/** Bytes of copies of modules, and of rows of embeddings with their first values. */
export function copiedBytes(settings: Settings): number {
  return copiesOf(settings)
    .filter(own => own.copied)
    .reduce((found, own) => found + elementsOf(own) * ownBytes(own, settings) * (own.name === 'tokens' ? 2 : 1), 0);
}

/** Rows of a module's A. */
export function rankOf(item: Linear, settings: Settings): number {
  return (item.rank || settings.rank) * item.ranks * item.experts;
}

/** Numbers an output that DoRA and a bias of B add. */
export function vectorsOf(settings: Settings): number {
  return (settings.adapter === 'dora' ? 1 : 0) + (settings.reached?.lora_bias ? 1 : 0);
}

/** Layers that keep nothing: those below the first that trains. */
export function idleLayers(settings: Settings): number {
  return trainsAll(settings) || settings.checkpointing ? 0 : (settings.reached?.first ?? 0);
}

/** Activations that adapted modules of the first layer that trains read. */
function firstReads(settings: Settings, targets: readonly Linear[]): readonly string[] {
  const below = settings.images && targets.some(item => item.reads === 'tower');
  if (trainsAll(settings) || settings.checkpointing || below) {
    return [];
  }
  return settings.reached?.reads ?? targets.map(item => item.reads).filter(reads => reads !== 'tower');
}

/** Bytes a token that the first layer that trains does not save, and how many of its masks or eager weights. */
export function unsaved(
  shapes: Shapes,
  settings: Settings,
  targets: readonly Linear[],
  terms: { readonly attention: number; readonly mlp: number; readonly norm: number }
): readonly [token: number, pairs: number] {
  const reads = firstReads(settings, targets);
  const norm = terms.norm * shapes.hidden + 4;
  const first = shapes.post_norm ? 0 : norm;
  if (!reads.length || reads.includes('attention input')) {
    return [reads.length ? first : 0, 0];
  }
  const before = first + terms.attention + queryNorms(shapes);
  if (reads.includes('attention output')) {
    return [before, 1];
  }
  const behind = before + norm * Math.max(0, shapes.norms - 1 - (shapes.norms === 4 ? 1 : 0));
  return [reads.includes('mlp input') || reads.includes('expert') ? behind : behind + terms.mlp, 1];
}

function queryNorms({ head_dim: dim, heads, kv_heads: kvHeads, qk_norm: kind }: Shapes): number {
  if (!kind) {
    return 0;
  }
  return 4 * (heads + kvHeads) * dim + 4 * (kind === 'whole' ? 2 : heads + kvHeads);
}
