/** Completions of prompts with their rewards and advantages. */
import { array, dictionary, integer, nullable, number, object, oneOf, string, withDefault } from '../parse';
import type { Parsed } from '../parse';
import { difference, finding } from './findings';
import { row } from './tokens';

export const ROLLOUTS_MIME = 'application/vnd.finetune-workbench.rollouts+json';

const completion = object({
  /** Place among the completions of the prompt, in the order they were generated. */
  index: integer,
  row,
  reward: nullable(number),
  /** Of each reward function; null where it gave none. */
  rewards: array(nullable(number)),
  advantage: nullable(number),
  tokens: integer,
  trained: integer,
  ended: oneOf('stop', 'cut', 'unknown'),
  /** Optimizer steps whose forward got it. */
  steps: withDefault(array(integer), [])
});
export type Completion = Parsed<typeof completion>;

const group = object({
  position: integer,
  title: string,
  prompt: row,
  mean: nullable(number),
  std: nullable(number),
  /** Completions that are generated for the prompt. */
  planned: integer,
  completions: array(completion),
  findings: array(finding)
});
export type RolloutGroup = Parsed<typeof group>;

const rolloutsPayload = object({
  version: oneOf(1),
  handle: nullable(string),
  title: string,
  subtitle: withDefault(string, ''),
  group_count: integer,
  first: integer,
  groups: array(group),
  reward_functions: array(object({ name: string, weight: number })),
  totals: object({ groups: integer, completions: integer, tokens: integer, flat: integer, cut: integer }),
  reasons: dictionary(string),
  badge: nullable(
    object({
      state: oneOf('agrees', 'differs', 'unchecked'),
      step: nullable(integer),
      difference: nullable(difference)
    })
  ),
  code: string
});
export type RolloutsPayload = Parsed<typeof rolloutsPayload>;

export const parseRollouts = (value: unknown): RolloutsPayload => rolloutsPayload(value, 'rollouts');

/** Answer to `group` and `group_problem`. */
export const groupAnswer = object({ group: nullable(group), position: nullable(integer) });
