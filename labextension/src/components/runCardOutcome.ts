/** How the run ended: a summary when it finished, what happened and what is safe when it did not. */

import { h } from './component';
import type { Trans } from './component';
import { formatGib, formatLoss, runIcon, setAttribute, setText, textButton } from './runCardParts';
import type { CardView, Part } from './runCardParts';
import { hasSummary } from '../runs/state';
import type { RunModel } from '../runs/state';
import { repeats } from './sampleGridWords';

/** What happened to a run that failed or died, its last log lines, and what is safe. */
export function runTrouble(trans: Trans): Part {
  const title = h('b', { class: 'wb-h' });
  const safe = h('span');
  const log = h('pre', { class: 'wb-log', tabindex: '0', 'aria-label': trans.__('Last lines of the log') });
  const node = h(
    'div',
    { class: 'wb-finding wb-error', role: 'group', 'aria-label': trans.__('What happened') },
    runIcon('cross').node,
    h('div', {}, title, ' ', safe, log)
  );
  const update = ({ model }: CardView): void => {
    node.hidden = model.state !== 'failed' && model.state !== 'died';
    setText(title, model.message ?? trans.__('The training process is gone.'));
    setText(safe, whatIsSafe(model, trans));
    log.hidden = model.logTail === null || model.logTail === '';
    setText(log, model.logTail ?? '');
  };
  return { node, update };
}

function whatIsSafe(model: RunModel, trans: Trans): string {
  const events = trans.__('Nothing that was logged is lost: events to step %1', model.step);
  const last = model.checkpoints[model.checkpoints.length - 1];
  return last === undefined
    ? `${events}; ${trans.__('no checkpoint was saved.')}`
    : `${events}; ${trans.__('last verified checkpoint: step %1.', last)}`;
}

/** Facts and next steps of a run that finished or was stopped. `insert` puts a line of Python into the notebook. */
export function runSummary(
  trans: Trans,
  insert: (code: string) => void,
  signal: AbortSignal
): Part & { facts: HTMLElement } {
  const loss = fact(trans.__('Loss'));
  const evaluation = fact(trans.__('Best eval'));
  const memory = fact(trans.__('Peak memory'));
  const saved = fact(trans.__('Saved'));
  const samples = fact(trans.__('Samples'));
  const all = [loss, evaluation, memory, saved, samples];
  const facts = h('div', { class: 'wb-sum' }, h('dl', {}, ...all.flatMap(one => one.nodes)));
  const figure = textButton(trans.__('Loss as a figure'), () => insert('run.losses()'), signal);
  const note = h('span', { class: 'wb-sub' }, trans.__('This view is saved in the notebook.'));
  const node = h('div', { class: 'wb-bar' }, figure, h('span', { class: 'wb-spring' }), note);
  const update = ({ model, connection }: CardView): void => {
    note.hidden = connection !== 'saved';
    const done = hasSummary(model.state);
    node.hidden = facts.hidden = !done;
    if (!done) {
      return;
    }
    loss.set(model.loss === null ? null : formatLoss(model.loss));
    evaluation.set(bestEvaluation(model, trans));
    memory.set(model.peakBytes === null ? null : trans.__('%1 GiB', formatGib(model.peakBytes)));
    const kept = model.state === 'completed' || model.checkpoints.length > 0;
    saved.set(savedFact(model, trans), kept);
    samples.set(sampleFact(model, trans));
  };
  return { node, facts, update };
}

/** A run that finished leaves its final model, sealed like a checkpoint. */
function savedFact(model: RunModel, trans: Trans): string {
  const count = model.checkpoints.length;
  const checkpoints = trans._n('%1 checkpoint', '%1 checkpoints', count);
  if (model.state === 'completed') {
    return count === 0
      ? trans.__('final model, with sha256 sums')
      : trans.__('final model and %1, with sha256 sums', checkpoints);
  }
  return count === 0 ? trans.__('no checkpoint') : trans.__('%1, with sha256 sums', checkpoints);
}

function bestEvaluation(model: RunModel, trans: Trans): string | null {
  const { step, loss } = model.evals;
  if (loss.length === 0) {
    return null;
  }
  const best = Math.min(...loss);
  return trans.__('%1 at step %2', formatLoss(best), step[loss.indexOf(best)] ?? 0);
}

function sampleFact(model: RunModel, trans: Trans): string | null {
  const steps = new Set(model.samples.map(sample => sample.step));
  if (steps.size === 0) {
    return null;
  }
  const last = Math.max(...steps);
  const bad = model.samples.filter(sample => sample.step === last && sample.stopped !== true && repeats(sample.text));
  const taken = trans._n('taken at %1 step', 'taken at %1 steps', steps.size);
  return bad.length === 0 ? taken : `${taken}, ${trans._n('%1 repeats', '%1 repeat', bad.length)}`;
}

function fact(label: string): { nodes: HTMLElement[]; set(value: string | null, good?: boolean): void } {
  const term = h('dt', {}, label);
  const sign = runIcon('check').node;
  const words = h('span');
  const value = h('dd', {}, sign, words);
  return {
    nodes: [term, value],
    set: (text, good = false) => {
      term.hidden = value.hidden = text === null;
      setText(words, text ?? '');
      setAttribute(sign, 'class', good ? 'wb-ico' : 'wb-ico wb-gone');
    }
  };
}
