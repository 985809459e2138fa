/** One question to the model that is training, beside the base model, answered as it is generated. */

import { h, on, uniqueId } from './component';
import type { Trans } from './component';
import { pythonString, setAttribute, setText, textButton } from './runCardParts';
import type { CardView, Part } from './runCardParts';
import type { Act } from './runCardControls';
import type { Sample } from '../runs/state';

/** Make the row and the places for two answers. */
export function askRow(trans: Trans, act: Act, signal: AbortSignal): Part {
  const id = uniqueId('wb-ask');
  const input = h('input', {
    class: 'wb-input',
    id,
    type: 'text',
    dir: 'auto',
    autocomplete: 'off',
    placeholder: trans.__('A question to the model as it is now')
  });
  const base = h(
    'button',
    { class: 'wb-switch', type: 'button', role: 'switch', 'aria-checked': 'true' },
    h('i'),
    trans.__('Beside the base')
  );
  const ask = h('button', { class: 'wb-btn wb-primary', type: 'submit' }, trans.__('Ask'));
  const label = h('label', { class: 'wb-h', for: id }, trans.__('Ask it now'));
  const form = h('form', { class: 'wb-askrow' }, label, input, base, ask);
  const left = answerPane(trans);
  const right = answerPane(trans);
  right.node.classList.add('wb-live');
  const cancel = textButton(
    trans.__('Stop answering'),
    () => act('cancel', {}, 'run.send("cancel")'),
    signal,
    'wb-link'
  );
  const answers = h('div', { class: 'wb-ans' }, left.node, right.node);
  const node = h('div', { class: 'wb-ask wb-sec' }, form, answers, cancel);

  on(
    base,
    'click',
    () => base.setAttribute('aria-checked', String(base.getAttribute('aria-checked') !== 'true')),
    signal
  );
  // Inside JupyterLab, Enter in a field submits no form by itself.
  on(
    input,
    'keydown',
    event => {
      if (event.key === 'Enter' && !event.isComposing) {
        event.preventDefault();
        event.stopPropagation();
        form.requestSubmit();
      }
    },
    signal
  );
  on(
    form,
    'submit',
    event => {
      event.preventDefault();
      const question = input.value.trim();
      if (question === '') {
        input.focus();
        return;
      }
      const messages = [{ role: 'user', content: question }];
      const both = !base.hidden && base.getAttribute('aria-checked') === 'true';
      const literal = pythonString(question);
      const code = `${both ? `run.sample(${literal}, base=True)\n` : ''}run.sample(${literal})`;
      if (both) {
        act('sample', { messages, base: true }, code);
      }
      act('sample', { messages, base: false }, code);
    },
    signal
  );

  const update = ({ model, connection }: CardView): void => {
    const takes = (model.state === 'running' || model.state === 'paused') && connection !== 'saved';
    form.hidden = !takes;
    base.hidden = !model.adapter;
    const trained = newest(model.answers, false);
    const other = newest(model.answers, true);
    const both = other !== null && (trained === null || other.question === trained.question) ? other : null;
    left.update(both);
    right.update(trained);
    answers.hidden = both === null && trained === null;
    setAttribute(answers, 'data-panes', both === null || trained === null ? '1' : '2');
    cancel.hidden = !takes || ![both, trained].some(sample => sample?.done === false);
    node.hidden = form.hidden && answers.hidden;
  };
  return { node, update };
}

function newest(answers: readonly Sample[], base: boolean): Sample | null {
  return answers.filter(answer => answer.base === base).pop() ?? null;
}

function answerPane(trans: Trans): { node: HTMLElement; update(sample: Sample | null): void } {
  const who = h('b');
  const how = h('span');
  const text = document.createTextNode('');
  const caret = h('span', { class: 'wb-caret', 'aria-hidden': 'true' });
  const node = h('div', { dir: 'auto' }, h('span', { class: 'wb-sub' }, who, how), h('p', {}, text, caret));
  const update = (sample: Sample | null): void => {
    node.hidden = sample === null;
    if (sample === null) {
      return;
    }
    setText(who, sample.base ? trans.__('base') : trans.__('step %1', sample.step));
    setText(how, sample.done ? '' : `, ${trans.__('answering')}`);
    // Appending keeps a reader's selection while more text arrives.
    if (sample.text.startsWith(text.data)) {
      text.appendData(sample.text.slice(text.data.length));
    } else {
      text.data = sample.text;
    }
    caret.hidden = sample.done;
  };
  return { node, update };
}
