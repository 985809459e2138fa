/**
 * What can be tried in the page: fields of a recipe, and how they become settings of the closed form.
 *
 * `settingsOf` does what `BatchShape.of` and `Runtime.of` of workbench/memory do, so that the code line and the bar mean
 * the same step.
 */
import type { FitTried } from '../wire/fit';
import { adapterFields, isFloat32Rest, python, quoted, recipeAdapter } from './fitAdapter';
import type { Fields, RecipeAdapter } from './fitAdapter';
import type { Settings } from './shapes';

export interface FitChoice {
  /** per_device_train_batch_size. */
  readonly batch: number;
  readonly accumulation: number;
  /** max_length; null cuts nothing. */
  readonly length: number | null;
  readonly rank: number;
  readonly adapter: string;
  readonly quantisation: string;
  readonly checkpointing: boolean;
  readonly optim: string;
  readonly attention: string;
  /** Of one base weight. */
  readonly weightBytes: number;
  /** As it was, or `bfloat16` where frozen weights were float32. */
  readonly precision: '' | 'bfloat16';
  /** GPUs; the batch is that of one. */
  readonly world: number;
  /** A strategy of sharding.ts. */
  readonly sharding: string;
  /** Type that 4-bit weights are packed into, and the floating one with which FSDP2 would cut them. */
  readonly storage: string;
  readonly floating: string;
  /** Micro batches whose answers are generated at once, 0 for all of a step, and answers a prompt, 0 for TRL's. */
  readonly stepsPerGeneration: number;
  readonly numGenerations: number;
  readonly numIterations: number;
  /** Weight of the reference; null is TRL's. */
  readonly beta: number | null;
  readonly precomputed: boolean;
  readonly engineSleeps: boolean;
  /** The adapter as the recipe says it. */
  readonly recipe: RecipeAdapter;
}

export function choiceOf(tried: FitTried): FitChoice {
  const { settings } = tried;
  return {
    batch: tried.batch,
    accumulation: settings.accumulation,
    length: tried.max_length,
    rank: settings.rank,
    adapter: settings.adapter,
    quantisation: settings.quantisation,
    checkpointing: settings.checkpointing,
    optim: settings.optim,
    attention: settings.attention,
    weightBytes: settings.weight_bytes,
    precision: '',
    world: settings.world ?? 1,
    sharding: settings.sharding ?? 'none',
    storage: settings.bnb_4bit_quant_storage ?? 'uint8',
    floating: settings.autocast || settings.weight_bytes === 2 ? 'bfloat16' : 'float32',
    stepsPerGeneration: settings.steps_per_generation ?? 0,
    numGenerations: settings.num_generations ?? 0,
    numIterations: settings.num_iterations ?? 1,
    beta: settings.beta ?? null,
    precomputed: settings.precomputed ?? false,
    engineSleeps: settings.vllm_sleeps ?? false,
    recipe: recipeAdapter(tried)
  };
}

/** Storage of 4-bit weights: where a change brings them and FSDP together, the type that is cut. */
function storageOf(choice: FitChoice, before: FitChoice): string {
  const meets = (one: FitChoice): boolean => one.quantisation === 'nf4' && one.sharding === 'fsdp';
  if (!meets(choice) || meets(before)) {
    return before.storage;
  }
  return choice.precision === '' ? before.floating : choice.precision;
}

/** Tokens of a row of the batch: the longest that is left, or a packed one. */
export function lengthOf(choice: FitChoice, tried: FitTried): number {
  if (choice.length === null) {
    return tried.longest;
  }
  return tried.packed ? choice.length : Math.min(tried.longest, choice.length);
}

/** Settings of the closed form for a choice. */
export function settingsOf(choice: FitChoice, tried: FitTried): Settings {
  const before = tried.settings;
  const length = lengthOf(choice, tried);
  const rows = tried.packed ? 1 : choice.batch;
  const wide = tried.packed ? choice.batch * length : length;
  const trained = before.scored / Math.max(1, before.rows * before.length);
  return {
    ...before,
    rows,
    length: wide,
    scored: Math.max(1, Math.round(trained * rows * wide)),
    rank: choice.rank,
    adapter: choice.adapter,
    quantisation: choice.quantisation,
    checkpointing: choice.checkpointing,
    accumulation: choice.accumulation,
    optim: choice.optim,
    attention: choice.attention,
    float32_rest: choice.quantisation === before.quantisation ? before.float32_rest : isFloat32Rest(choice),
    packed_row: tried.packed ? length : 0,
    masked: tried.masked ?? (tried.packed || choice.batch > 1),
    weight_bytes: choice.weightBytes,
    world: choice.world,
    sharding: choice.sharding,
    steps_per_generation: choice.stepsPerGeneration,
    num_generations: choice.numGenerations,
    beta: choice.beta,
    precomputed: choice.precomputed,
    vllm_sleeps: choice.engineSleeps,
    bnb_4bit_quant_storage: storageOf(choice, choiceOf(tried)),
    offload: choice.sharding === before.sharding ? (before.offload ?? 'none') : 'none',
    autocast: before.autocast || choice.precision === 'bfloat16'
  };
}

/** A choice with another adapter: frozen weights follow the precision, trained ones are float32. */
export function withAdapter(choice: FitChoice, adapter: string, tried: FitTried): Partial<FitChoice> {
  const { settings } = tried;
  const isLow = settings.autocast || choice.precision === 'bfloat16';
  const weightBytes = adapter === settings.adapter ? settings.weight_bytes : isLow && adapter !== 'none' ? 2 : 4;
  return { adapter, weightBytes, ...(adapter === 'none' ? { quantisation: 'none' } : {}) };
}

/** Fields of the recipe that a choice changes, as `[name, Python]`. */
export function changedFields(before: FitChoice, after: FitChoice): Fields {
  const fields: readonly (readonly [string, string, string])[] = [
    ['per_device_train_batch_size', String(before.batch), String(after.batch)],
    ['gradient_accumulation_steps', String(before.accumulation), String(after.accumulation)],
    ['max_length', String(before.length ?? 'None'), String(after.length ?? 'None')],
    ['gradient_checkpointing', python(before.checkpointing), python(after.checkpointing)],
    ['optim', quoted(before.optim), quoted(after.optim)],
    ['precision', before.precision, after.precision === '' ? '' : quoted(after.precision)]
  ];
  const others = fields.filter(([, old, value]) => old !== value).map(([name, , value]) => [name, value] as const);
  return [...adapterFields(before, after), ...others];
}

/** What a choice knows of TRL's config, as Python. */
function argumentsOf(choice: FitChoice): string {
  const { beta } = choice;
  const said: readonly (readonly [string, string | null])[] = [
    ['num_generations', choice.numGenerations ? String(choice.numGenerations) : null],
    ['steps_per_generation', choice.stepsPerGeneration ? String(choice.stepsPerGeneration) : null],
    ['num_iterations', choice.numIterations > 1 ? String(choice.numIterations) : null],
    ['beta', beta === null ? null : Number.isInteger(beta) ? beta.toFixed(1) : String(beta)],
    ['precompute_ref_log_probs', choice.precomputed ? 'True' : null]
  ];
  const found = said.flatMap(([name, value]) => (value === null ? [] : [`${quoted(name)}: ${value}`]));
  return `{${found.join(', ')}}`;
}

/** Arguments of `estimate` that a choice changes: what a recipe does not have. */
export function changedArguments(before: FitChoice, after: FitChoice): Fields {
  const fields: readonly (readonly [string, string | number, string | number, string])[] = [
    ['attention', before.attention, after.attention, quoted(after.attention)],
    ['world', before.world, after.world, String(after.world)],
    ['sharding', before.sharding, after.sharding, quoted(after.sharding)],
    ['arguments', argumentsOf(before), argumentsOf(after), argumentsOf(after)],
    ['vllm_sleeps', python(before.engineSleeps), python(after.engineSleeps), python(after.engineSleeps)],
    ['bnb_4bit_quant_storage', before.storage, storageOf(after, before), quoted(storageOf(after, before))]
  ];
  return fields.filter(([, old, value]) => old !== value).map(([name, , , code]) => [name, code]);
}

const call = (name: string, values: Iterable<readonly [string, string]>): string =>
  `${name}(${[...values].map(([key, value]) => `${key}=${value}`).join(', ')})`;

/** Python that gives the estimate of a choice. */
export function codeOf(
  before: FitChoice,
  after: FitChoice,
  given: Readonly<Record<string, string>>,
  card: string | null
): string {
  const args = new Map(Object.entries(given));
  // what the call names is not asked of the recipe: once it is changed, the recipe says all of it
  const isNamed = args.has('adapter') || args.has('quantisation');
  const whole = isNamed ? adapterFields(before, after, true) : [];
  if (whole.length > 0) {
    args.delete('adapter');
    args.delete('quantisation');
  }
  const own = new Set(whole.map(([field]) => field));
  const fields = [...whole, ...changedFields(before, after).filter(([field]) => !own.has(field))];
  if (before.sharding !== after.sharding) {
    args.delete('offload');
  }
  changedArguments(before, after).forEach(([name, value]) => args.set(name, value));
  const [name, value] = card?.split(/=(.*)/s) ?? [];
  if (name !== undefined && value !== undefined) {
    args.set(name, value);
  }
  const estimate = call('recipe.estimate', args);
  return fields.length === 0 ? estimate : `${call('recipe = recipe.with_', fields)}\n${estimate}`;
}

/** Share of the rows that a limit cuts; null where the lengths are not known. */
export function shareCut(tried: FitTried, limit: number | null): number | null {
  const { lengths } = tried;
  if (lengths === null || lengths.length === 0) {
    return null;
  }
  let all = 0;
  let over = 0;
  for (const [tokens, rows] of lengths) {
    all += rows ?? 0;
    over += limit !== null && (tokens ?? 0) > limit ? (rows ?? 0) : 0;
  }
  return over / Math.max(1, all);
}

/** A choice on so many GPUs: they share as they did, else by FSDP; one has nothing to share. */
export function withWorld(world: number, tried: FitTried, now: FitChoice = choiceOf(tried)): Partial<FitChoice> {
  const { sharding = 'none', world: before = 1 } = tried.settings;
  if (world === 1) {
    return { world, sharding: before === 1 ? sharding : 'none' };
  }
  if (now.world > 1 && now.sharding !== 'none') {
    return { world, sharding: now.sharding };
  }
  return { world, sharding: sharding === 'none' && before === 1 ? 'fsdp' : sharding };
}
