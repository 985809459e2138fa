/** Pause, stop, save and sample. Every button shows the line of Python that does the same. */

import { h } from './component';
import type { Trans } from './component';
import { iconButton, pythonString, runIcon, setText, textButton } from './runCardParts';
import type { CardView, Part } from './runCardParts';
import { isTerminal } from '../runs/state';
import type { StateName } from '../runs/state';

/** Send a command; `code` is the same in Python. */
export type Act = (op: string, args: Readonly<Record<string, unknown>>, code: string) => void;

export interface Controls extends Part {
  /** What the keys `p` and `s` do. */
  pauseOrResume(): void;
  sampleNow(): void;
}

const PAUSABLE: readonly StateName[] = ['running'];
const STOPPABLE: readonly StateName[] = ['starting', 'running', 'pausing', 'paused'];

/** Make the bar; it shows only what the present state allows. */
export function runControls(trans: Trans, act: Act, signal: AbortSignal): Controls {
  let view: CardView | null = null;
  const can = (states: readonly StateName[]): boolean => view !== null && states.includes(view.model.state);
  const pause = iconButton('pause', trans.__('Pause'), () => act('pause', {}, 'run.pause()'), signal);
  const resume = iconButton('play', trans.__('Resume'), () => act('resume', {}, 'run.resume()'), signal, 'wb-primary');
  const stop = iconButton('stop', trans.__('Stop and save'), () => question.open(), signal);
  const save = iconButton('save', trans.__('Save now'), () => act('save', {}, 'run.send("save")'), signal);
  const sampleNow = (): void => {
    const prompts = view?.model.prompts ?? [];
    const code = prompts.map(prompt => `run.sample(${pythonString(prompt)})`).join('\n');
    prompts.forEach((_, index) => act('sample', { prompt: index }, code));
  };
  const sample = iconButton('sample', trans.__('Sample now'), sampleNow, signal);
  const division = h('span', { class: 'wb-div' });
  const buttons = h('span', { class: 'wb-buttons' }, pause, resume, stop, division, save, sample);
  const question = stopQuestion(trans, act, () => stop.focus(), signal);
  const durable = h(
    'span',
    { class: 'wb-sub wb-durable' },
    runIcon('check').node,
    trans.__('Safe to close: the run is not in this page or kernel')
  );
  const node = h('div', { class: 'wb-bar' }, buttons, question.node, h('span', { class: 'wb-spring' }), durable);

  const update = (next: CardView): void => {
    view = next;
    node.hidden = isTerminal(next.model.state) || next.connection === 'saved';
    pause.hidden = !can(PAUSABLE);
    resume.hidden = !can(['paused', 'pausing']);
    stop.hidden = !can(STOPPABLE);
    const takes = can(['running', 'paused']);
    save.hidden = !takes;
    sample.hidden = !takes || next.model.prompts.length === 0;
    division.hidden = !takes;
    if (!can(STOPPABLE)) {
      question.close();
    }
    buttons.hidden = question.asked();
    question.update(next.model.step);
  };
  question.onChange(() => {
    buttons.hidden = question.asked();
  });
  return {
    node,
    update,
    pauseOrResume: () => {
      if (can(PAUSABLE)) {
        pause.click();
      } else if (can(['paused'])) {
        resume.click();
      }
    },
    sampleNow: () => {
      if (!sample.hidden && !node.hidden) {
        sample.click();
      }
    }
  };
}

interface Question {
  readonly node: HTMLElement;
  open(): void;
  close(): void;
  asked(): boolean;
  update(step: number): void;
  onChange(changed: () => void): void;
}

/** Stopping asks once; the answer that has the focus changes nothing. */
function stopQuestion(trans: Trans, act: Act, back: () => void, signal: AbortSignal): Question {
  let changed = (): void => undefined;
  const words = h('span');
  const close = (): void => {
    node.hidden = true;
    changed();
  };
  const answer = (save: boolean) => (): void => {
    close();
    act('stop', { save }, save ? 'run.stop()' : 'run.stop(save=False)');
  };
  const stop = textButton(trans.__('Stop and save'), answer(true), signal);
  const discard = textButton(trans.__('Stop without saving'), answer(false), signal);
  const keep = textButton(
    trans.__('Keep training'),
    () => {
      close();
      back();
    },
    signal
  );
  const node = h(
    'span',
    { class: 'wb-question', role: 'group', 'aria-label': trans.__('Stop the run?') },
    words,
    stop,
    discard,
    keep
  );
  node.hidden = true;
  return {
    node,
    close,
    asked: () => !node.hidden,
    open: () => {
      node.hidden = false;
      changed();
      keep.focus();
    },
    update: step =>
      setText(words, trans.__('End the training at step %1? A stopped run does not go on by itself.', step)),
    onChange: listener => {
      changed = listener;
    }
  };
}
