/** The first line of the card: all that is left of it when folded. */

import { h, on } from './component';
import type { Trans } from './component';
import {
  formatDuration,
  formatGib,
  formatLeft,
  formatLoss,
  runIcon,
  setAttribute,
  setText,
  stateWords
} from './runCardParts';
import type { CardView, Part } from './runCardParts';
import { sparkline } from './sparkline';
import { isTerminal } from '../runs/state';
import type { RunModel } from '../runs/state';

export interface Line extends Part {
  readonly fold: HTMLButtonElement;
}

/** Make the line; `toggle` hears whether the card is open. */
export function runLine(trans: Trans, toggle: (open: boolean) => void, signal: AbortSignal): Line {
  const foldIcon = runIcon('open');
  const fold = h(
    'button',
    { class: 'wb-btn wb-icon wb-quiet', type: 'button', 'aria-expanded': 'true', 'aria-label': trans.__('Collapse') },
    foldIcon.node
  );
  const stateIcon = runIcon('clock');
  const word = h('span');
  const state = h('span', { class: 'wb-state' }, stateIcon.node, word);
  const title = h('b', { class: 'wb-title' });
  const name = h('span', { class: 'wb-sub wb-name', dir: 'auto' });
  const small = smallFigures(trans);
  const progress = progressBar(trans);
  const node = h(
    'header',
    { class: 'wb-line' },
    fold,
    state,
    title,
    name,
    ...small.nodes,
    h('span', { class: 'wb-spring' }),
    progress.bar,
    progress.words
  );
  on(
    fold,
    'click',
    () => {
      const open = fold.getAttribute('aria-expanded') !== 'true';
      fold.setAttribute('aria-expanded', String(open));
      fold.setAttribute('aria-label', open ? trans.__('Collapse') : trans.__('Open'));
      foldIcon.set(open ? 'open' : 'closed');
      toggle(open);
    },
    signal
  );
  const update = (view: CardView): void => {
    const model = view.model;
    const words = stateWords(model.state, model.step, trans);
    stateIcon.set(words.icon);
    setAttribute(state, 'class', `wb-state wb-st-${words.tone}`);
    setText(word, model.phase === null ? words.word : `${words.word}: ${model.phase}`);
    setText(title, model.id);
    setText(name, model.state === 'completed' ? finishedName(model, trans) : model.name);
    small.update(model);
    progress.update(model);
  };
  return { node, update, fold };
}

function finishedName(model: RunModel, trans: Trans): string {
  const steps = trans._n('%1 step', '%1 steps', model.step);
  const spent =
    model.elapsedSeconds === null ? steps : trans.__('%1 in %2', steps, formatDuration(model.elapsedSeconds, trans));
  return model.name === '' ? spent : `${model.name}, ${spent}`;
}

/** Loss, sparkline and memory: shown by the style sheet only while the card is folded. */
function smallFigures(trans: Trans): { nodes: (HTMLElement | SVGSVGElement)[]; update(model: RunModel): void } {
  const loss = h('b');
  const memory = h('b');
  const spark = sparkline(trans);
  const lossBox = h('span', { class: 'wb-sub wb-small' }, trans.__('loss'), ' ', loss);
  const memoryBox = h('span', { class: 'wb-sub wb-small wb-hn' }, memory, ' ', trans.__('GiB'));
  const sparkBox = h('span', { class: 'wb-small' }, spark.node);
  const update = (model: RunModel): void => {
    lossBox.hidden = model.loss === null;
    setText(loss, formatLoss(model.loss));
    spark.update(model.series);
    const bytes = model.gpuBytes ?? model.hostBytes;
    memoryBox.hidden = bytes === null;
    setText(memory, bytes === null ? '' : formatGib(bytes));
  };
  return { nodes: [lossBox, sparkBox, memoryBox], update };
}

function progressBar(trans: Trans): { bar: HTMLElement; words: HTMLElement; update(model: RunModel): void } {
  const fill = h('i');
  const bar = h(
    'span',
    { class: 'wb-prog', role: 'progressbar', 'aria-valuemin': '0', 'aria-label': trans.__('Progress') },
    fill
  );
  const step = h('b');
  const rest = h('span');
  const words = h('span', { class: 'wb-sub' }, step, rest);
  const update = (model: RunModel): void => {
    const most = model.maxSteps;
    const ended = isTerminal(model.state);
    bar.hidden = most === null || most === 0 || ended;
    words.hidden = ended && model.state === 'completed';
    if (most !== null && most > 0) {
      setAttribute(bar, 'aria-valuemax', String(most));
      setAttribute(bar, 'aria-valuenow', String(model.step));
      fill.style.width = `${Math.min(100, (100 * model.step) / most).toFixed(1)}%`;
    }
    setText(step, String(model.step));
    const of = most === null ? '' : ` ${trans.__('of %1', most)}`;
    const left = model.etaSeconds === null || ended ? '' : `, ${formatLeft(model.etaSeconds, trans)}`;
    setText(rest, of + left);
  };
  return { bar, words, update };
}
