/** (model, event) -> model. Events come from a log that another process writes: every member is checked. */

import { appendLoss, hasAdapter, stateName } from './state';
import type { RunModel, Sample } from './state';
import type { BatchDifference } from './types';

/** One line of events.jsonl. */
export interface RunEvent {
  readonly seq: number;
  readonly t: number;
  readonly kind: string;
  readonly [member: string]: unknown;
}

const number = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null);
const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const record = (value: unknown): Readonly<Record<string, unknown>> | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : null;

const KINDS: Readonly<Record<string, (model: RunModel, event: RunEvent) => RunModel>> = {
  state: reduceState,
  phase: (model, event) => ({ ...model, phase: text(event['name']) }),
  setup: (model, event) => ({
    ...model,
    adapter: hasAdapter(event),
    device: text(event['device']) ?? model.device
  }),
  step: reduceStep,
  metric: reduceMetric,
  sample_start: reduceSampleStart,
  token: reduceToken,
  sample: reduceSample,
  checkpoint: reduceCheckpoint,
  batch: reduceBatch,
  ack: reduceAcknowledgement,
  warning: (model, event) => ({
    ...model,
    warnings: [
      ...model.warnings,
      {
        step: number(event['step']) ?? model.step,
        code: text(event['code']) ?? '',
        message: text(event['message']) ?? ''
      }
    ]
  })
};

/** Move the model on by one event; unknown kinds change nothing but the clock. */
export function reduce(model: RunModel, event: RunEvent): RunModel {
  const move = Object.hasOwn(KINDS, event.kind) ? KINDS[event.kind] : undefined;
  return tick(move ? move(model, event) : model, event);
}

function tick(model: RunModel, event: RunEvent): RunModel {
  const now = number(event.t);
  if (now === null) {
    return model;
  }
  const passed = model.time === null ? 0 : Math.max(0, now - model.time);
  return { ...model, time: now, elapsedSeconds: (model.elapsedSeconds ?? 0) + passed };
}

function reduceState(model: RunModel, event: RunEvent): RunModel {
  const state = stateName(event['state']);
  if (state === null) {
    return model;
  }
  const fresh = state === 'starting' || state === 'running';
  return {
    ...model,
    state,
    step: number(event['step']) ?? model.step,
    maxSteps: number(event['max_steps']) ?? model.maxSteps,
    phase: state === 'starting' ? model.phase : null,
    etaSeconds: state === 'running' ? model.etaSeconds : null,
    message: fresh ? null : (text(event['error']) ?? text(event['reason']) ?? model.message),
    logTail: fresh ? null : (logTail(event['log_tail']) ?? model.logTail)
  };
}

function logTail(value: unknown): string | null {
  if (Array.isArray(value)) {
    return value.filter(line => typeof line === 'string').join('\n');
  }
  return text(value);
}

function reduceStep(model: RunModel, event: RunEvent): RunModel {
  const gpuBytes = number(event['gpu_bytes']);
  const hostBytes = number(event['rss_bytes']) ?? model.hostBytes;
  const held = gpuBytes ?? hostBytes;
  return {
    ...model,
    step: number(event['step']) ?? model.step,
    tokensPerSecond: number(event['tokens_per_s']) ?? model.tokensPerSecond,
    etaSeconds: number(event['eta_s']),
    hostBytes,
    gpuBytes,
    peakBytes: held === null ? model.peakBytes : Math.max(held, model.peakBytes ?? 0)
  };
}

function reduceMetric(model: RunModel, event: RunEvent): RunModel {
  const step = number(event['step']) ?? model.step;
  let next: RunModel = { ...model, learningRate: number(event['learning_rate']) ?? model.learningRate };
  if ('loss' in event) {
    const loss = number(event['loss']);
    const series = appendLoss(model.series, step, loss);
    next = { ...next, loss: loss ?? model.loss, lossBroken: loss === null, series };
  }
  const evalLoss = number(event['eval_loss']);
  if (evalLoss !== null) {
    const before = model.evals.step.filter(at => at < step).length;
    const evals = {
      step: [...model.evals.step.slice(0, before), step],
      loss: [...model.evals.loss.slice(0, before), evalLoss]
    };
    next = { ...next, evalLoss, evals };
  }
  return next;
}

function reduceSampleStart(model: RunModel, event: RunEvent): RunModel {
  const id = String(event['sample'] ?? '');
  const base = event['base'] === true;
  const question = lastContent(event['messages']);
  const prompt = number(event['prompt']) ?? promptIndex(model, question, base);
  const sample: Sample = {
    id,
    prompt,
    question,
    step: base && prompt !== null ? 0 : (number(event['step']) ?? model.step),
    text: '',
    base,
    done: false,
    stopped: null,
    command: text(event['cmd'])
  };
  return put(model, sample);
}

/** A scheduled prompt that was asked by hand belongs into the grid as well; the base has its own column. */
function promptIndex(model: RunModel, question: string, base: boolean): number | null {
  const index = model.prompts.indexOf(question);
  return index < 0 || base ? null : index;
}

function lastContent(messages: unknown): string {
  const last: unknown = Array.isArray(messages) ? messages[messages.length - 1] : null;
  return text(record(last)?.['content']) ?? '';
}

/** One sample a place: a grid cell (prompt and step) or an answer (its id). */
function put(model: RunModel, sample: Sample): RunModel {
  const same = (other: Sample): boolean =>
    other.id === sample.id || (sample.prompt !== null && other.prompt === sample.prompt && other.step === sample.step);
  const key = sample.prompt === null ? 'answers' : 'samples';
  return { ...model, [key]: [...model[key].filter(other => !same(other)), sample] };
}

function change(model: RunModel, id: string, edit: (sample: Sample) => Sample): RunModel {
  const apply = (samples: readonly Sample[]): readonly Sample[] =>
    samples.some(sample => sample.id === id) ? samples.map(one => (one.id === id ? edit(one) : one)) : samples;
  return { ...model, samples: apply(model.samples), answers: apply(model.answers) };
}

function reduceToken(model: RunModel, event: RunEvent): RunModel {
  const added = text(event['text']) ?? '';
  return change(model, String(event['sample'] ?? ''), sample => ({ ...sample, text: sample.text + added }));
}

function reduceSample(model: RunModel, event: RunEvent): RunModel {
  const id = String(event['sample'] ?? '');
  const known = [...model.samples, ...model.answers].find(sample => sample.id === id);
  const prompt = number(event['prompt']) ?? known?.prompt ?? null;
  const base = event['base'] === true;
  const step = number(event['step']) ?? model.step;
  return put(model, {
    id,
    prompt,
    question: known?.question ?? '',
    step: base && prompt !== null ? 0 : step,
    text: text(event['text']) ?? known?.text ?? '',
    base,
    done: true,
    stopped: event['stopped'] === true,
    command: known?.command ?? text(event['cmd'])
  });
}

function reduceCheckpoint(model: RunModel, event: RunEvent): RunModel {
  const step = number(event['step']);
  if (step === null || model.checkpoints.includes(step)) {
    return model;
  }
  return { ...model, checkpoints: [...model.checkpoints, step].sort((a, b) => a - b) };
}

function reduceBatch(model: RunModel, event: RunEvent): RunModel {
  const step = number(event['step']);
  if (step === null) {
    return model;
  }
  const before = model.batch ?? { agrees: null, steps: [], difference: null };
  const verdicts = [before.agrees, event['agrees']].filter(verdict => typeof verdict === 'boolean');
  const agrees = verdicts.length === 0 ? null : verdicts.every(verdict => verdict);
  const steps = before.steps.includes(step) ? before.steps : [...before.steps, step];
  return { ...model, batch: { agrees, steps, difference: before.difference ?? batchDifference(event['difference']) } };
}

function batchDifference(value: unknown): BatchDifference | null {
  const found = record(value);
  if (found === null) {
    return null;
  }
  const index: unknown = found['index'];
  const path = Array.isArray(index) ? index.filter(item => typeof item === 'number') : number(index);
  return { key: text(found['key']) ?? '', index: path, ours: found['ours'], theirs: found['theirs'] };
}

function reduceAcknowledgement(model: RunModel, event: RunEvent): RunModel {
  const command = text(event['cmd']);
  if (command === null) {
    return model;
  }
  const said = {
    op: text(event['op']) ?? '',
    status: text(event['status']) ?? '',
    error: text(event['error'])
  };
  return { ...model, acknowledgements: { ...model.acknowledgements, [command]: said } };
}
