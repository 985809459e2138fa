/** The run's part of the wire (docs/wire.md, sections 2 to 5). */

export interface BatchDifference {
  key: string;
  /** [row, column]; null where a key or a shape differs. */
  index: number | readonly number[] | null;
  ours: unknown;
  theirs: unknown;
}

export interface RunSnapshot {
  state: string;
  step: number;
  max_steps: number | null;
  /** Byte offset in events.jsonl that this has read. */
  offset: number;
  loss: number | null;
  learning_rate: number | null;
  tokens_per_s: number | null;
  eta_s: number | null;
  rss_bytes: number | null;
  gpu_bytes: number | null;
  elapsed_s: number | null;
  series: { step: readonly number[]; loss: readonly (number | null)[] };
  prompts: readonly string[];
  samples: readonly { prompt: number | null; step: number; text: string; stopped: boolean; base: boolean }[];
  checkpoints: readonly number[];
  batch: { agrees: boolean | null; steps: readonly number[]; difference: BatchDifference | null } | null;
  message: string | null;
  log_tail: string | null;
  warnings?: readonly { step?: number; code?: string; message?: string }[];
  stalled?: boolean;
  setup: Readonly<Record<string, unknown>> | null;
}

export interface RunPayload {
  version: number;
  id: string;
  name: string;
  live: boolean;
  snapshot: RunSnapshot;
  code: string;
}
