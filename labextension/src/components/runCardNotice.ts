/** What the card has to say about itself: saved copy, lost connection, refused command, warnings of the run. */

import { h, liveRegion } from './component';
import type { Trans } from './component';
import { formatLoss, runIcon, setText, stateWords, textButton } from './runCardParts';
import type { CardView, Part } from './runCardParts';
import { isTerminal } from '../runs/state';
import type { RunModel } from '../runs/state';

export interface Notice extends Part {
  /** Whether a click could attach to the run. */
  setLiveable(liveable: boolean): void;
  /** A command is on its way; its answer comes as an event. */
  sent(command: string): void;
  refused(message: string): void;
}

/** Make the strip under the line; it is absent while there is nothing to say. */
export function connectionNotice(trans: Trans, goLive: () => void, signal: AbortSignal): Notice {
  const words = h('span');
  const live = textButton(trans.__('Go live'), goLive, signal, 'wb-btn wb-primary');
  const strip = h(
    'div',
    { class: 'wb-bar wb-notice' },
    runIcon('clock').node,
    words,
    h('span', { class: 'wb-spring' }),
    live
  );
  const refusal = h('span');
  const dismiss = textButton(trans.__('Dismiss'), () => refuse(null), signal, 'wb-link');
  const refusals = h(
    'div',
    { class: 'wb-bar wb-notice wb-refusal', role: 'alert' },
    runIcon('warning').node,
    refusal,
    dismiss
  );
  const node = h('div', {}, strip, refusals);
  const waiting = new Set<string>();
  let liveable = false;
  const refuse = (message: string | null): void => {
    refusals.hidden = message === null;
    setText(refusal, message ?? '');
  };
  refuse(null);
  const answers = (model: RunModel): void => {
    for (const command of waiting) {
      const said = model.acknowledgements[command];
      if (said !== undefined && said.status !== 'accepted') {
        waiting.delete(command);
        if (said.status === 'refused') {
          refuse(trans.__('%1 was refused: %2', said.op, said.error ?? trans.__('no reason given')));
        }
      }
    }
  };
  const update = (view: CardView): void => {
    const text = sentence(view, trans);
    strip.hidden = text === null;
    setText(words, text ?? '');
    live.hidden = !liveable;
    answers(view.model);
  };
  return {
    node,
    update,
    setLiveable: next => {
      liveable = next;
    },
    sent: command => {
      waiting.add(command);
      refuse(null);
    },
    refused: refuse
  };
}

function sentence(view: CardView, trans: Trans): string | null {
  const { model } = view;
  switch (view.connection) {
    case 'saved':
      return isTerminal(model.state)
        ? null
        : trans.__('As it was at step %1, when the notebook was saved. The run may have gone on.', model.step);
    case 'connecting':
      return trans.__('Connecting to the run…');
    case 'lost':
      return trans.__('Connection lost, retrying. The run goes on without this page. (%1)', view.error ?? '');
    case 'gone':
      return trans.__('The server does not know this run any more. (%1)', view.error ?? '');
    case 'live':
      return model.stalled ? trans.__('No news from the training process for a while; it is still there.') : null;
    case 'ended':
      return null;
  }
}

/** Warnings of the run, newest first, three at most. */
export function runWarnings(trans: Trans): Part {
  const list = h('ul', { class: 'wb-warnings' });
  const node = h(
    'div',
    { class: 'wb-finding', role: 'group', 'aria-label': trans.__('Warnings') },
    runIcon('warning').node,
    list
  );
  let shown: RunModel['warnings'] | null = null;
  const update = ({ model }: CardView): void => {
    node.hidden = model.warnings.length === 0;
    if (model.warnings === shown) {
      return;
    }
    shown = model.warnings;
    const rows = model.warnings.slice(-3).reverse();
    list.replaceChildren(
      ...rows.map(warning =>
        h(
          'li',
          {},
          h('span', { class: 'wb-code-no' }, warning.code),
          trans.__('step %1: %2', warning.step, warning.message)
        )
      )
    );
  };
  return { node, update };
}

/** Milliseconds between two messages to screen readers. */
const SAY_EVERY = 30_000;

export interface Announcer {
  readonly node: HTMLElement;
  hear(view: CardView): void;
  dispose(): void;
}

/** Says at most one sentence in 30 s; what came meanwhile is said as it then stands. */
export function announcer(trans: Trans): Announcer {
  const region = liveRegion();
  let last = '';
  let latest: CardView | null = null;
  let timer: number | null = null;
  const say = (): void => {
    timer = null;
    const key = latest === null ? '' : topic(latest);
    if (latest !== null && key !== last) {
      last = key;
      region.say(spoken(latest, trans));
      timer = window.setTimeout(say, SAY_EVERY);
    }
  };
  return {
    node: region.node,
    hear: view => {
      const first = latest === null;
      latest = view;
      if (first) {
        last = topic(view);
      } else if (timer === null) {
        say();
      }
    },
    dispose: () => {
      if (timer !== null) {
        window.clearTimeout(timer);
      }
    }
  };
}

/** A reader hears of another state, a lost connection, or a tenth of the way. */
function topic({ model, connection }: CardView): string {
  const tenth = model.maxSteps === null ? 0 : Math.floor((10 * model.step) / Math.max(1, model.maxSteps));
  return `${model.state} ${connection === 'lost'} ${tenth}`;
}

function spoken(view: CardView, trans: Trans): string {
  const { model } = view;
  const words = stateWords(model.state, model.step, trans).word;
  const where = model.maxSteps === null ? '' : trans.__('step %1 of %2', model.step, model.maxSteps);
  const loss = model.loss === null ? '' : trans.__('loss %1', formatLoss(model.loss));
  const lost = view.connection === 'lost' ? trans.__('connection lost') : '';
  return [trans.__('Run %1', model.id), words, where, loss, lost].filter(part => part !== '').join(', ');
}
