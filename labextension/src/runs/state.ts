/** What a run card knows about a run. Pure values; made from a snapshot, moved on by `reduce`. */

import type { BatchDifference, RunPayload, RunSnapshot } from './types';

export const STATES = [
  'queued',
  'starting',
  'running',
  'pausing',
  'paused',
  'stopping',
  'stopped',
  'completed',
  'failed',
  'died'
] as const;
export type StateName = (typeof STATES)[number];

/** Loss by step. `epoch` changes when points already drawn are no longer a prefix of `step`. */
export interface Series {
  readonly step: readonly number[];
  readonly loss: readonly (number | null)[];
  readonly smoothed: readonly (number | null)[];
  readonly epoch: number;
  /** Every `stride`-th logged value is kept. */
  readonly stride: number;
  /** Logged values seen since the series began, kept or not. */
  readonly seen: number;
  /** State of the moving average: its uncorrected value and its number of values. */
  readonly average: number;
  readonly averaged: number;
}

export interface Sample {
  /** Sample id of the event log; empty for one that came with the snapshot. */
  readonly id: string;
  /** Index of the scheduled prompt, null for a question. */
  readonly prompt: number | null;
  readonly question: string;
  readonly step: number;
  readonly text: string;
  readonly base: boolean;
  readonly done: boolean;
  readonly stopped: boolean | null;
  /** The command that asked, null for a scheduled sample. */
  readonly command: string | null;
}

export interface Warning {
  readonly step: number;
  readonly code: string;
  readonly message: string;
}

export interface Acknowledgement {
  readonly op: string;
  readonly status: string;
  readonly error: string | null;
}

export interface RunModel {
  readonly id: string;
  readonly name: string;
  readonly state: StateName;
  readonly phase: string | null;
  readonly stalled: boolean;
  readonly step: number;
  readonly maxSteps: number | null;
  readonly loss: number | null;
  /** The last logged loss was not a finite number. */
  readonly lossBroken: boolean;
  readonly evalLoss: number | null;
  readonly learningRate: number | null;
  readonly tokensPerSecond: number | null;
  readonly etaSeconds: number | null;
  readonly elapsedSeconds: number | null;
  readonly hostBytes: number | null;
  readonly gpuBytes: number | null;
  readonly peakBytes: number | null;
  readonly series: Series;
  readonly evals: { readonly step: readonly number[]; readonly loss: readonly number[] };
  readonly prompts: readonly string[];
  readonly samples: readonly Sample[];
  readonly answers: readonly Sample[];
  readonly checkpoints: readonly number[];
  readonly warnings: readonly Warning[];
  /** `agrees` is null where there was no preview to compare with. */
  readonly batch: { agrees: boolean | null; steps: readonly number[]; difference: BatchDifference | null } | null;
  readonly message: string | null;
  readonly logTail: string | null;
  readonly adapter: boolean;
  readonly device: string | null;
  readonly acknowledgements: Readonly<Record<string, Acknowledgement>>;
  /** Unix time of the last event, to carry `elapsedSeconds` on. */
  readonly time: number | null;
  /** Byte offset in events.jsonl up to which this is true. */
  readonly offset: number;
}

/** More points than this are thinned to half. */
export const MAX_POINTS = 2000;
/** Weight of the past in the smoothed curve. */
export const SMOOTHING = 0.9;

export const EMPTY_SERIES: Series = {
  step: [],
  loss: [],
  smoothed: [],
  epoch: 0,
  stride: 1,
  seen: 0,
  average: 0,
  averaged: 0
};

/** True where no further event is expected. */
export function isTerminal(state: StateName): boolean {
  return state === 'stopped' || state === 'completed' || state === 'failed' || state === 'died';
}

/** True where the run ended as it was meant to, so that there is something to sum up. */
export function hasSummary(state: StateName): boolean {
  return state === 'stopped' || state === 'completed';
}

/** A state's name, or null when it is none of ours. */
export function stateName(value: unknown): StateName | null {
  return STATES.find(name => name === value) ?? null;
}

/**
 * Add one logged loss.
 *
 * A step that was already drawn means that the run was resumed from a checkpoint: what came after it is dropped.
 */
export function appendLoss(series: Series, step: number, loss: number | null): Series {
  const last = series.step[series.step.length - 1];
  if (last !== undefined && step <= last) {
    const keep = series.step.findIndex(drawn => drawn >= step);
    return appendLoss({ ...cut(series, keep), epoch: series.epoch + 1 }, step, loss);
  }
  const moved = average(series, loss);
  if (series.seen % series.stride !== 0) {
    return moved;
  }
  const smoothed = moved.averaged === 0 ? null : moved.average / (1 - SMOOTHING ** moved.averaged);
  const grown = {
    ...moved,
    step: [...series.step, step],
    loss: [...series.loss, loss],
    smoothed: [...series.smoothed, loss === null ? null : smoothed]
  };
  return grown.step.length > MAX_POINTS ? thin(grown) : grown;
}

function average(series: Series, loss: number | null): Series {
  if (loss === null) {
    return { ...series, seen: series.seen + 1 };
  }
  return {
    ...series,
    seen: series.seen + 1,
    average: SMOOTHING * series.average + (1 - SMOOTHING) * loss,
    averaged: series.averaged + 1
  };
}

/** The first `keep` points; the average begins again from the last smoothed value. */
function cut(series: Series, keep: number): Series {
  const smoothed = series.smoothed.slice(0, keep);
  const last = smoothed.filter(value => value !== null).pop();
  return {
    ...series,
    step: series.step.slice(0, keep),
    loss: series.loss.slice(0, keep),
    smoothed,
    seen: keep * series.stride,
    average: last ?? 0,
    averaged: last === undefined ? 0 : 1000
  };
}

function thin(series: Series): Series {
  const even = (_: unknown, index: number): boolean => index % 2 === 0;
  return {
    ...series,
    step: series.step.filter(even),
    loss: series.loss.filter(even),
    smoothed: series.smoothed.filter(even),
    epoch: series.epoch + 1,
    stride: series.stride * 2
  };
}

/** The series of a snapshot, with its smoothed curve. */
export function seriesFrom(step: readonly number[], loss: readonly (number | null)[], epoch: number): Series {
  return step.reduce<Series>((series, at, index) => appendLoss(series, at, loss[index] ?? null), {
    ...EMPTY_SERIES,
    epoch
  });
}

/** The samples of a snapshot. */
function samplesFrom(snapshot: RunSnapshot): Sample[] {
  return snapshot.samples.map((sample, index) => ({
    id: `snapshot-${index}`,
    prompt: sample.prompt,
    question: '',
    step: sample.base ? 0 : sample.step,
    text: sample.text,
    base: sample.base,
    done: true,
    stopped: sample.stopped,
    command: null
  }));
}

/** Whether fewer parameters are trained than there are: then the base model is still inside. */
export function hasAdapter(setup: Readonly<Record<string, unknown>> | null): boolean {
  const trained = setup?.['trainable_parameters'];
  const all = setup?.['parameters'];
  return typeof trained === 'number' && typeof all === 'number' && trained < all;
}

/** What a payload's snapshot says. */
export function modelFrom(payload: Pick<RunPayload, 'id' | 'name' | 'snapshot'>, epoch = 0): RunModel {
  const snapshot = payload.snapshot;
  const device = snapshot.setup?.['device'];
  return {
    id: payload.id,
    name: payload.name,
    state: stateName(snapshot.state) ?? 'queued',
    phase: null,
    stalled: snapshot.stalled === true,
    step: snapshot.step,
    maxSteps: snapshot.max_steps,
    loss: snapshot.loss,
    lossBroken: false,
    evalLoss: null,
    learningRate: snapshot.learning_rate,
    tokensPerSecond: snapshot.tokens_per_s,
    etaSeconds: snapshot.eta_s,
    elapsedSeconds: snapshot.elapsed_s,
    hostBytes: snapshot.rss_bytes,
    gpuBytes: snapshot.gpu_bytes,
    peakBytes: snapshot.gpu_bytes ?? snapshot.rss_bytes,
    series: seriesFrom(snapshot.series.step, snapshot.series.loss, epoch),
    evals: { step: [], loss: [] },
    prompts: snapshot.prompts,
    samples: samplesFrom(snapshot).filter(sample => sample.prompt !== null),
    answers: [],
    checkpoints: snapshot.checkpoints,
    warnings: (snapshot.warnings ?? []).map(({ step, code, message }) => ({
      step: step ?? snapshot.step,
      code: code ?? '',
      message: message ?? ''
    })),
    batch: snapshot.batch,
    message: snapshot.message,
    logTail: snapshot.log_tail,
    adapter: hasAdapter(snapshot.setup),
    device: typeof device === 'string' ? device : null,
    acknowledgements: {},
    time: null,
    offset: snapshot.offset
  };
}
