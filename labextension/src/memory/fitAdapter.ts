/**
 * The adapter as a recipe says it, a word or PEFT's config as a mapping, and as it says it after a choice.
 *
 * The twin of what workbench/memory/remedy_table.py says of a changed adapter.
 */
import type { FitTried } from '../wire/fit';
import type { FitChoice } from './fitChoice';

export type AdapterConfig = Readonly<Record<string, unknown>>;

/** Fields of the recipe that say what trains over which weights. */
export interface RecipeAdapter {
  readonly adapter: string | AdapterConfig;
  readonly quantisation: string;
}

/** Changed fields of a recipe, as `[name, Python]`. */
export type Fields = readonly (readonly [string, string])[];

/** Python's escapes of what would end a literal or a line. */
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', "'": "\\'", '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A Python literal of a text. */
export const quoted = (value: string): string => `'${Array.from(value, sign => ESCAPES[sign] ?? sign).join('')}'`;

/** A Python literal of a plain value. */
export function python(value: unknown): string {
  if (value === null || value === undefined) {
    return 'None';
  }
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False';
  }
  if (typeof value === 'string') {
    return quoted(value);
  }
  if (Array.isArray(value)) {
    return `[${value.map(python).join(', ')}]`;
  }
  if (typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([name, item]) => `${quoted(name)}: ${python(item)}`)
      .join(', ')}}`;
  }
  return String(value);
}

/** The recipe's own fields; of a payload that does not have them, those its settings lead to. */
export function recipeAdapter({ adapter, quantisation, settings }: FitTried): RecipeAdapter {
  if (adapter !== null) {
    return { adapter, quantisation };
  }
  const isQlora = settings.adapter === 'lora' && settings.quantisation === 'nf4' && settings.float32_rest;
  return isQlora
    ? { adapter: 'qlora', quantisation: 'none' }
    : { adapter: settings.adapter, quantisation: settings.quantisation };
}

/** LoRA has a rank wherever it is said; of PEFT's other methods nobody says here what it would change. */
function ranked(adapter: string | AdapterConfig, rank: number): string | AdapterConfig {
  if (typeof adapter === 'string' || adapter['peft_type'] !== 'LORA' || (adapter['r'] ?? 8) === rank) {
    return adapter;
  }
  return { ...adapter, r: rank };
}

/** What a recipe says for a choice: LoRA's word for 4-bit weights is qlora, every other adapter has them beside it. */
export function saidOf(choice: FitChoice): RecipeAdapter {
  const { adapter: kind, quantisation, rank, recipe } = choice;
  if (kind === 'none') {
    return { adapter: 'none', quantisation: 'none' };
  }
  const word = recipe.adapter === 'none' ? 'lora' : recipe.adapter;
  const isOwn = word === 'qlora' || (word === 'lora' && recipe.quantisation !== 'nf4');
  if (quantisation === 'nf4' && isOwn) {
    return { adapter: 'qlora', quantisation: 'none' };
  }
  return { adapter: word === 'qlora' ? 'lora' : ranked(word, rank), quantisation };
}

/** Whether what is not quantised is float32: so PEFT prepares the weights under qlora. */
export const isFloat32Rest = (choice: FitChoice): boolean => saidOf(choice).adapter === 'qlora';

/** Fields of the adapter that a choice changes. `whole`: all of them once one is changed. */
export function adapterFields(before: FitChoice, after: FitChoice, whole = false): Fields {
  const [old, said] = [saidOf(before), saidOf(after)];
  const changed: [string, string, string][] = [
    ['adapter', python(old.adapter), python(said.adapter)],
    ['quantisation', python(old.quantisation), python(said.quantisation)]
  ];
  if (typeof after.recipe.adapter === 'string') {
    changed.push(['r', String(before.rank), String(after.rank)]);
  }
  const found = changed.filter(([, was, is]) => was !== is);
  return (whole && found.length > 0 ? changed : found).map(([name, , is]) => [name, is]);
}
