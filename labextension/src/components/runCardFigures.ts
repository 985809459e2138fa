/** The row of figures under the line, and the proof that the batches are those of the preview. */

import { h } from './component';
import type { Trans } from './component';
import { formatCount, formatGib, formatLoss, formatRate, runIcon, setAttribute, setText } from './runCardParts';
import type { CardView, Part, RunIcon } from './runCardParts';
import { hasSummary } from '../runs/state';
import type { RunModel } from '../runs/state';

/** Loss, evaluation, speed, learning rate, memory; a figure that is not known is absent. */
export function runFigures(trans: Trans): Part {
  const loss = figure();
  const evaluation = figure();
  const speed = figure();
  const rate = figure();
  const memory = figure();
  const all = [loss, evaluation, speed, rate, memory];
  const node = h('div', { class: 'wb-nums' }, ...all.map(one => one.node));
  const update = ({ model }: CardView): void => {
    loss.set(model.lossBroken ? trans.__('not a number') : known(model.loss, formatLoss), lossLabel(model, trans));
    loss.node.classList.toggle('wb-broken', model.lossBroken);
    evaluation.set(known(model.evalLoss, formatLoss), trans.__('eval loss'));
    speed.set(known(model.tokensPerSecond, formatCount), trans.__('tokens a second'));
    rate.set(known(model.learningRate, formatRate), trans.__('learning rate'));
    setMemory(memory, model, trans);
    // A run that ended well has these in its summary.
    node.hidden = hasSummary(model.state) || all.every(one => one.node.hidden);
  };
  return { node, update };
}

/** The curve's end carries the smoothed value: name both, so that the two numbers do not contradict each other. */
function lossLabel(model: RunModel, trans: Trans): string {
  const smoothed = model.series.smoothed.at(-1);
  return typeof smoothed === 'number' ? trans.__('loss, %1 smoothed', formatLoss(smoothed)) : trans.__('loss');
}

function known(value: number | null, format: (value: number) => string): string | null {
  return value === null ? null : format(value);
}

function setMemory(memory: Figure, model: RunModel, trans: Trans): void {
  if (model.gpuBytes !== null) {
    memory.set(formatGib(model.gpuBytes), trans.__('GiB on the GPU'));
  } else {
    memory.set(known(model.hostBytes, formatGib), trans.__('GiB of host memory'));
  }
}

interface Figure {
  readonly node: HTMLElement;
  set(value: string | null, label: string): void;
}

function figure(): Figure {
  const number = h('b');
  const words = h('span');
  const node = h('div', {}, number, words);
  node.hidden = true;
  return {
    node,
    set: (value, label) => {
      node.hidden = value === null;
      setText(number, value ?? '');
      setText(words, label);
    }
  };
}

/** Whether `forward()` received what the preview showed: a sign, words, and the first difference if there is one. */
export function agreementBadge(trans: Trans): Part {
  const sign = runIcon('check');
  const words = h('span');
  const badge = h('span', { class: 'wb-badge' }, sign.node, words);
  const detail = h('code', { class: 'wb-agree-diff' });
  const node = h('div', { class: 'wb-agree' }, badge, detail);
  node.hidden = true;
  const update = ({ model }: CardView): void => {
    const batch = model.batch;
    node.hidden = batch === null || batch.steps.length === 0;
    if (batch === null) {
      return;
    }
    const verdict = verdictOf(batch, trans);
    sign.set(verdict.icon);
    setAttribute(badge, 'class', `wb-badge ${verdict.tone}`);
    setText(words, verdict.words);
    const first = batch.difference;
    detail.hidden = first === null;
    setText(detail, first === null ? '' : firstDifference(first, trans));
  };
  return { node, update };
}

type Batch = NonNullable<RunModel['batch']>;

function verdictOf(batch: Batch, trans: Trans): { icon: RunIcon; tone: string; words: string } {
  const steps = batch.steps.join(', ');
  if (batch.agrees === null) {
    return { icon: 'clock', tone: 'wb-none', words: trans.__('Batches recorded, no preview to compare with') };
  }
  if (!batch.agrees) {
    return { icon: 'cross', tone: 'wb-bad', words: trans.__('Batches differ from the preview') };
  }
  const words = trans._n(
    'Batch agrees with the preview (step %2)',
    'Batches agree with the preview (steps %2)',
    batch.steps.length,
    steps
  );
  return { icon: 'check', tone: 'wb-ok', words };
}

function firstDifference(first: NonNullable<Batch['difference']>, trans: Trans): string {
  const index = Array.isArray(first.index) ? first.index.join(', ') : first.index;
  const place = index === null ? first.key : `${first.key}[${String(index)}]`;
  return trans.__('%1: preview %2, trained %3', place, JSON.stringify(first.ours), JSON.stringify(first.theirs));
}
