/** What the closed form is asked and what it answers: the twins of Python's values, field for field. */

/** A linear module, or a parameter of a layer's experts that is multiplied like one. */
export interface Linear {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly bias: boolean;
  /** How many the whole model has. */
  readonly copies: number;
  /** The activation it multiplies: attention input, attention output, mlp input, product, expert, tower, embedding. */
  readonly reads: string;
  /** Words in LoRA's `target_modules` that adapt it, `all-linear` among them. */
  readonly targets: readonly string[];
  readonly experts: number;
  /** Multiple of LoRA's rank that each of its matrices gets. */
  readonly ranks: number;
  /** Its name in the model, with `{}` for the number of its layer. */
  readonly path: string;
  /** LoRA's rank of its own; 0 takes the run's. */
  readonly rank: number;
}

/** A mixture of experts in place of the MLP. */
export interface Experts {
  readonly count: number;
  readonly chosen: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly shared: number;
}

/** A vision tower and how it meets the decoder: `Vision` of workbench/memory/shapes.py. */
export interface Vision {
  readonly tower: Shapes;
  readonly used: number;
  /** Patches of an image of fixed size; 0 where it is free. */
  readonly patches: number;
  readonly merged: number;
  /** Tokens of an image of fixed size; 0 where it is free. */
  readonly tokens: number;
  readonly pixels: number;
  readonly states: boolean;
  readonly middle: number;
  readonly normed: boolean;
  readonly pooled: boolean;
}

/** Shapes of a model: `Architecture.to_dict()` of workbench/memory/architecture.py. */
export interface Shapes {
  readonly family: string;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kv_heads: number;
  readonly head_dim: number;
  readonly intermediate: number;
  readonly vocab: number;
  readonly tied: boolean;
  readonly modules: readonly Linear[];
  readonly norms: number;
  /** `rms`, `gemma` or `layer`. */
  readonly norm: string;
  /** Norm of queries and keys: none, a `head` or the `whole` width. */
  readonly qk_norm: string;
  readonly gated: boolean;
  readonly head_bias: boolean;
  readonly experts: Experts | null;
  readonly tower: number;
  readonly softcap: boolean;
  /** How an MLP without a gate makes its activation: in `steps`, `quick`, or `fused` into one kernel. */
  readonly gelu: string;
  /** The vision tower's layers; null without one. */
  readonly vision: Vision | null;
  readonly assumptions: readonly string[];
  /** Tokens that a layer with a sliding window sees, 0 where there is none, and how many layers do. */
  readonly window?: number;
  readonly windowed?: number;
  /** Whether norms stand behind attention and MLP only. */
  readonly post_norm?: boolean;
  /** Parameters by kind. */
  readonly parameters: Readonly<Record<string, number>>;
  /** All parameters; a tied head counts once. */
  readonly total: number;
  /** Parameters without a vision tower and its projector. */
  readonly text: number;
}

/** A tensor that trains and is no matrix of LoRA: `Own` of workbench/memory/reached.py. */
export interface Own {
  /** `embedding`, `head`, `tokens`, `bias`, or what else was copied. */
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly copies: number;
  /** Whether it is there beside the model's own. */
  readonly copied: boolean;
  readonly tower: boolean;
}

/** What an adapter's patterns reach in the model. */
export interface Reached {
  readonly modules: readonly Linear[];
  readonly own: readonly Own[];
  /** The first layer in which anything trains. */
  readonly first: number;
  /** Activations that its adapted modules read; empty where something before the layers trains. */
  readonly reads: readonly string[];
  readonly lora_bias: boolean;
}

/** What a run's memory depends on: `AnalyticSettings.to_dict()` of workbench/memory/settings.py. */
export interface Settings {
  readonly rows: number;
  readonly length: number;
  readonly scored: number;
  readonly method: string;
  /** `none` trains all weights. */
  readonly adapter: string;
  readonly rank: number;
  /** LoRA's target modules, or `all-linear`. */
  readonly targets: string | readonly string[];
  readonly dropout: boolean;
  /** `none`, `nf4` or `int8`. */
  readonly quantisation: string;
  readonly float32_rest: boolean;
  readonly checkpointing: boolean;
  readonly accumulation: number;
  readonly optim: string;
  /** A strategy of sharding.ts over `world` devices; the batch is that of one. */
  readonly sharding?: string;
  readonly world?: number;
  /** What lies in host memory: `none`, `optimizer` or `parameters`. */
  readonly offload?: string;
  readonly device: string;
  readonly attention: string;
  /** `fused` or `logits`. */
  readonly loss: string;
  readonly weight_bytes: number;
  readonly autocast: boolean;
  readonly masked: boolean;
  readonly packed: boolean;
  readonly outputs_kept: boolean;
  /** Whether the adapter has the activations' bfloat16. */
  readonly low_adapter?: boolean;
  /** Words of kernels.ts. */
  readonly kernels?: readonly string[];
  /** Whether what is kept for backward waits in host memory. */
  readonly activation_offloading?: boolean;
  /** Type that 4-bit weights are packed into: FSDP2 cuts floating ones only. */
  readonly bnb_4bit_quant_storage?: string;
  /** What an adapter trains, where it is more than modules by their names. */
  readonly reached?: Reached | null;
  /** Images in every row, and tokens of one where its size is free. */
  readonly images?: number;
  readonly image_tokens?: number;
  /** Tokens of a prompt where answers are generated; 0 is half of a row. */
  readonly prompt?: number;
  /** Micro batches whose answers are generated at once; 0 is all of a step. */
  readonly steps_per_generation?: number;
  readonly num_iterations?: number;
  /** Weight of the reference's log probabilities; null is what TRL takes for the method. */
  readonly beta?: number | null;
  /** `transformers` or `vllm`. */
  readonly generator?: string;
  readonly vllm_bytes?: number;
  readonly vllm_sleeps?: boolean;
  /** Rows of a batch of an evaluation; 0 evaluates nothing. */
  readonly per_device_eval_batch_size?: number;
  /** Prompts that are answered between steps; 0 is none. */
  readonly samples?: number;
  readonly sample_prompt?: number;
  readonly sample_tokens?: number;
  /** Whether the reference's log probabilities were computed before. */
  readonly precomputed?: boolean;
  /** Tokens of a row of a packed batch, whose rows arrive as one; 0 where rows are not packed. */
  readonly packed_row?: number;
  /** Answers a prompt; 0 is TRL's choice. */
  readonly num_generations?: number;
}

/** One reason memory is used, with the formula its bytes follow from. */
export interface Part {
  readonly name: string;
  readonly bytes: number;
  readonly formula: string;
  readonly inputs: Readonly<Record<string, number>>;
  readonly source: string;
}

/** A moment of the step and what is live in it, in bytes. */
export interface Peak {
  readonly name: string;
  readonly parts: Readonly<Record<string, number>>;
  readonly bytes: number;
}

export type Interval = readonly [low: number, high: number];

/** Memory of one training step, in bytes. */
export interface Estimate {
  readonly parts: readonly Part[];
  readonly peaks: readonly Peak[];
  /** The highest of `peaks`. */
  readonly peak: Peak;
  /** Live bytes at the peak: with less the step cannot run. */
  readonly live: number;
  /** What the caching allocator holds. */
  readonly reserved: Interval;
  /** The driver's own memory, outside the allocator. */
  readonly context: Interval;
  /** Live bytes at the peak by kind, in the order of `KINDS`, empty ones left out. */
  readonly byKind: Readonly<Record<string, number>>;
}

/** Bytes that one mechanism saves, for every layer and token. */
export interface Term {
  readonly name: string;
  readonly bytes: number;
  readonly formula: string;
}

/** Sequences of the batch: a pair has two. */
export function sequencesOf(settings: Settings): number {
  return settings.rows * (['dpo', 'orpo', 'cpo', 'reward'].includes(settings.method) ? 2 : 1);
}

/** Tokens of the batch, padding included. */
export function tokensOf(settings: Settings): number {
  return sequencesOf(settings) * settings.length;
}

/** Methods whose trainer in trl.experimental makes all logits. */
export const ODDS: readonly string[] = ['orpo', 'cpo'];

/** Whether all logits are made at once. */
export function wholeLogits({ loss, method }: Settings): boolean {
  return loss === 'logits' || ODDS.includes(method);
}

export function trainsAll(settings: Settings): boolean {
  return settings.adapter === 'none';
}

/** Bytes of one activation that comes out of a matrix product. */
export function computeBytes(settings: Settings): number {
  return settings.autocast ? 2 : settings.weight_bytes;
}

/** Bytes of a weight that is not quantised, and of the residual stream. */
export function restBytes(settings: Settings): number {
  return settings.float32_rest && settings.quantisation !== 'none' ? 4 : settings.weight_bytes;
}

/** Bytes of one output of a linear module: bitsandbytes gives back the type it was given. */
export function outputBytes(settings: Settings): number {
  return settings.quantisation === 'none' ? computeBytes(settings) : restBytes(settings);
}

/** Bytes of an adapter's element: float32, which TRL casts to bfloat16 over quantised weights. */
export function adapterBytes(settings: Settings): number {
  const quantised = settings.quantisation !== 'none' && settings.loss === 'fused';
  return settings.low_adapter || quantised ? 2 : 4;
}

/** Bytes of a trained element. */
export function trainedBytes(settings: Settings): number {
  return trainsAll(settings) ? settings.weight_bytes : adapterBytes(settings);
}

/** The closed form does not know what it was asked for; Python's estimate says the same with its code. */
export class UnknownError extends Error {}

/** The nearest whole number, halves up, as Python's twin rounds. */
export function rounded(size: number): number {
  return Math.floor(size + 0.5);
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
