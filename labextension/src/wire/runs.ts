/** A run's snapshot; its types are in runs/types.ts, beside what reads them. */
import { array, boolean, integer, members, nullable, number, object, oneOf, string, withDefault } from '../parse';
import type { Parser } from '../parse';
import type { RunPayload, RunSnapshot } from '../runs/types';

export type { RunPayload } from '../runs/types';

export const RUN_MIME = 'application/vnd.finetune-workbench.run+json';

const unknownValue: Parser<unknown> = value => value;

const runDifference = object({
  key: string,
  index: nullable<number | readonly number[]>((value, path) =>
    typeof value === 'number' ? integer(value, path) : array(integer)(value, path)
  ),
  ours: unknownValue,
  theirs: unknownValue
});

const runWarning: Parser<{ step?: number; code?: string; message?: string }> = (value, path) => {
  const from = members(value, path);
  const step = nullable(integer)(from['step'], `${path}.step`);
  const code = nullable(string)(from['code'], `${path}.code`);
  const message = nullable(string)(from['message'], `${path}.message`);
  return {
    ...(step === null ? {} : { step }),
    ...(code === null ? {} : { code }),
    ...(message === null ? {} : { message })
  };
};

const snapshot: Parser<RunSnapshot> = object({
  state: string,
  step: integer,
  max_steps: nullable(integer),
  offset: integer,
  loss: nullable(number),
  learning_rate: nullable(number),
  tokens_per_s: nullable(number),
  eta_s: nullable(number),
  rss_bytes: nullable(number),
  gpu_bytes: nullable(number),
  elapsed_s: nullable(number),
  series: object({ step: array(number), loss: array(nullable(number)) }),
  prompts: array(string),
  samples: array(
    object({
      prompt: nullable(integer),
      step: integer,
      text: string,
      stopped: withDefault(boolean, false),
      base: withDefault(boolean, false)
    })
  ),
  checkpoints: array(integer),
  batch: nullable(object({ agrees: nullable(boolean), steps: array(integer), difference: nullable(runDifference) })),
  message: nullable(string),
  log_tail: nullable(string),
  warnings: withDefault(array(runWarning), []),
  stalled: withDefault(boolean, false),
  setup: nullable(members)
});

const runPayload: Parser<RunPayload> = object({
  version: oneOf(1),
  id: string,
  name: string,
  live: boolean,
  snapshot,
  code: string
});
export const parseRun = (value: unknown): RunPayload => runPayload(value, 'run');
