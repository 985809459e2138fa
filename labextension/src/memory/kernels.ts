/** Words for kernels of other tools, and what each replaces: the twin of workbench/memory/kernels.py. */

/** `liger` and `chunked` make logits in chunks, `cut` none, `in place` all of them, overwritten by their gradient. */
export type LossKernel = '' | 'liger' | 'cut' | 'chunked' | 'in place';

/** What kernels replace. */
export interface Fused {
  readonly norms: boolean;
  readonly glu: boolean;
  readonly mlp: boolean;
  readonly qkv: boolean;
  readonly o: boolean;
  readonly loss: LossKernel;
  /** Whether the LoRA kernels take no DoRA, no dropout and no bias. */
  readonly plain: boolean;
  /** Whether the LoRA kernels keep the adapter in the activations' type. */
  readonly copies: boolean;
  /** Whether LoRA's product has a tensor of its own before it is added. */
  readonly beside: boolean;
  /** Kept tensors that are on the device at once where activations are offloaded. */
  readonly stays: number;
}

export const NOTHING: Fused = {
  norms: false,
  glu: false,
  mlp: false,
  qkv: false,
  o: false,
  loss: '',
  plain: false,
  copies: false,
  beside: false,
  stays: 5
};

const WORDS: Readonly<Record<string, Partial<Fused>>> = {
  liger: { norms: true, glu: true },
  liger_rms_norm: { norms: true },
  liger_glu: { glu: true },
  liger_cross_entropy: { loss: 'liger' },
  cut_cross_entropy: { loss: 'cut' },
  unsloth: { norms: true, mlp: true, qkv: true, o: true, loss: 'chunked', plain: true, stays: 2 },
  unsloth_2024: { norms: true, mlp: true, qkv: true, o: true, loss: 'in place', plain: true, stays: 2, beside: true },
  unsloth_gc: { stays: 1 },
  lora_mlp: { mlp: true, copies: true },
  lora_qkv: { qkv: true, copies: true },
  lora_o: { o: true, copies: true }
};

/** What words replace together; a later word's loss takes the place of an earlier one's. */
export function fusedOf(words: readonly string[]): Fused {
  return words.reduce<Fused>((found, word) => ({ ...found, ...WORDS[word] }), NOTHING);
}
